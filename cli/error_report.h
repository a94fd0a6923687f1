// How a failed command says so: one line on stderr, and with --json a document.

#ifndef MONOQUANT_CLI_ERROR_REPORT_H_
#define MONOQUANT_CLI_ERROR_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/streams.h"
#include "ir/json.h"

namespace monoquant::cli {

struct ErrorReportOptions {
  bool json = false;   // also print the document of docs/schemas/error.json
  bool color = false;  // "error:" in red
};

// True if --json is among the arguments, understood or not.
bool WantsJson(const std::vector<std::string>& args);

// Prints "monoquant: error: MESSAGE" in one line whatever the message holds,
// with a general next step if the message ends without one. A second document
// is never printed.
void ReportError(const absl::Status& status, const ErrorReportOptions& options,
                 Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_ERROR_REPORT_H_
