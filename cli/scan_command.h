// monoquant scan

#ifndef MONOQUANT_CLI_SCAN_COMMAND_H_
#define MONOQUANT_CLI_SCAN_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct ScanArgs {
  std::vector<std::string> paths;  // files and directories
  ReportArgs report;
};

// Prints what every pickle in the files would do in Python: text, or the
// document of docs/schemas/scan.json. All files are scanned, whatever is found;
// then DataLoss if one is dangerous or malformed, or else the first error of
// those that cannot be read.
absl::Status RunScan(const ScanArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_SCAN_COMMAND_H_
