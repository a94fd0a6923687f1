// monoquant verify

#ifndef MONOQUANT_CLI_VERIFY_COMMAND_H_
#define MONOQUANT_CLI_VERIFY_COMMAND_H_

#include <string>

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct VerifyArgs {
  InputArgs input;
  std::string program;  // --for: name of a program; empty: any
  bool hashes = false;  // --hashes: read what has checksums
  ReportArgs report;
};

// Prints what is wrong with a checkpoint: text, or the document of
// docs/schemas/verify.json. Aborted if anything is that keeps it from being
// loaded; warnings do not count.
absl::Status RunVerify(const VerifyArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_VERIFY_COMMAND_H_
