// monoquant quantize

#ifndef MONOQUANT_CLI_QUANTIZE_COMMAND_H_
#define MONOQUANT_CLI_QUANTIZE_COMMAND_H_

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/recipe_args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct QuantizeArgs {
  TransformArgs transform;
  RecipeArgs recipe;
  // Print what would happen, as plan does, and write nothing.
  bool dry_run = false;
};

// Writes the quantized checkpoint and prints the report. An input that
// monoquant quantized before is decoded first, and the report says so.
absl::Status RunQuantize(const QuantizeArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_QUANTIZE_COMMAND_H_
