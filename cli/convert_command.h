// monoquant convert

#ifndef MONOQUANT_CLI_CONVERT_COMMAND_H_
#define MONOQUANT_CLI_CONVERT_COMMAND_H_

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct ConvertArgs {
  TransformArgs transform;
  // Write an .mqir whose payload stays in the input's files.
  bool link = false;
};

// Writes the same tensors, codes and record into another container, bit for
// bit. With --to or --for, quantized weights are stored as that format does it:
// the same numbers in other bits (core/repacking_reader.h). FailedPrecondition
// for what the program does not load (exporters/program_checks.h).
absl::Status RunConvert(const ConvertArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_CONVERT_COMMAND_H_
