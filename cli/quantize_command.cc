#include "cli/quantize_command.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/plan_command.h"
#include "cli/transform.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// The plan, with tensors kept that hold a NaN or an infinity if the recipe
// wants that.
absl::StatusOr<Plan> PlanFor(const CheckpointReader& reader,
                             const Recipe& recipe) {
  MQ_ASSIGN_OR_RETURN(Plan plan, MakePlan(reader.index(), recipe));
  if (recipe.nonfinite != Nonfinite::kKeep) return plan;
  PlanOptions options;
  MQ_ASSIGN_OR_RETURN(options.keep, FindNonfinite(reader, plan));
  if (options.keep.empty()) return plan;
  return MakePlan(reader.index(), recipe, options);
}

bool QuantizesNothing(const Plan& plan) {
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action == Action::kQuantize) return false;
  }
  return true;
}

}  // namespace

absl::Status RunQuantize(const QuantizeArgs& args, Streams& streams) {
  if (args.dry_run) {
    return RunPlan(PlanArgs{args.transform, args.recipe}, streams);
  }
  MQ_ASSIGN_OR_RETURN(const Recipe recipe, BuildRecipe(args.recipe));
  MQ_ASSIGN_OR_RETURN(
      const Transform transform,
      BeginTransform("quantize", "quantizing",
                     NumberFormatName(recipe.defaults.format), args.transform));
  MQ_ASSIGN_OR_RETURN(const Input input, Dequantized(transform.file));
  MQ_ASSIGN_OR_RETURN(const Plan plan, PlanFor(*input.reader, recipe));
  std::vector<std::string> notes;
  if (QuantizesNothing(plan)) {
    notes.push_back(
        "no tensor was quantized; 'monoquant plan' says why for each");
  }
  return FinishTransform(transform, input, plan,
                         *transform.output.row->exporter, std::move(notes),
                         args.transform, streams);
}

}  // namespace monoquant::cli
