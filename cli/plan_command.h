// monoquant plan, and monoquant quantize --dry-run

#ifndef MONOQUANT_CLI_PLAN_COMMAND_H_
#define MONOQUANT_CLI_PLAN_COMMAND_H_

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/recipe_args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct PlanArgs {
  // The output and the threads serve the estimates; nothing is written.
  TransformArgs transform;
  RecipeArgs recipe;
};

// Prints what quantize would do to each tensor, and why. Reads no weights, so
// --nonfinite keep shows no tensors that are kept for their values.
absl::Status RunPlan(const PlanArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_PLAN_COMMAND_H_
