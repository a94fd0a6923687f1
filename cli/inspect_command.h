// monoquant inspect

#ifndef MONOQUANT_CLI_INSPECT_COMMAND_H_
#define MONOQUANT_CLI_INSPECT_COMMAND_H_

#include <string>

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct InspectArgs {
  InputArgs input;
  std::string tensors;  // a glob; empty: all
  bool hash = false;    // the SHA-256 of every tensor; reads all of them
  RunArgs run;
  ReportArgs report;
};

// Prints what a checkpoint holds: a table, or the document of
// docs/schemas/inspect.json.
absl::Status RunInspect(const InspectArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_INSPECT_COMMAND_H_
