#include "cli/quantize_command.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/job_size.h"
#include "cli/output_file.h"
#include "cli/parallel.h"
#include "cli/plan_command.h"
#include "cli/progress.h"
#include "cli/timer.h"
#include "cli/transform.h"
#include "core/job.h"
#include "core/nonfinite_search.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// The plan, with tensors kept that hold a NaN or an infinity if the recipe
// wants that.
absl::StatusOr<Plan> PlanFor(const CheckpointReader& reader,
                             const Recipe& recipe, PlanOptions options,
                             const TransformArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(Plan plan, MakePlan(reader.index(), recipe, options));
  if (recipe.nonfinite != Nonfinite::kKeep) return plan;
  MQ_ASSIGN_OR_RETURN(const JobSize size, ChooseJobSize(plan, args.run));
  JobOptions job_options;
  job_options.chunk_bytes = size.chunk_bytes;
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<NonfiniteSearch> search,
                      NonfiniteSearch::Create(&reader, plan, job_options));
  {
    Progress progress(args.report.progress, "looking for NaN", streams.err);
    std::vector<NonfiniteSearch::Worker> workers(
        static_cast<size_t>(size.threads));
    const Timer timer;
    MQ_RETURN_IF_ERROR(RunWorkers(
        size.threads, *streams.cancel,
        [&](int worker) {
          return search->Step(workers[static_cast<size_t>(worker)]);
        },
        [&] {
          progress.Update(search->bytes_done(), search->bytes_total(),
                          timer.seconds());
        }));
  }
  options.keep = search->Found();
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
  MQ_ASSIGN_OR_RETURN(const absl::string_view scheme,
                      DefaultScheme(args.transform.output));
  MQ_ASSIGN_OR_RETURN(const Recipe recipe, BuildRecipe(args.recipe, scheme));
  MQ_ASSIGN_OR_RETURN(
      const Transform transform,
      BeginTransform("quantize", "quantizing", TypeName(args.recipe, recipe),
                     args.transform));
  MQ_ASSIGN_OR_RETURN(const Input input, Dequantized(transform.file));
  MQ_ASSIGN_OR_RETURN(const Plan plan, PlanFor(*input.reader, recipe,
                                               PlanOptionsFor(transform.output),
                                               args.transform, streams));
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
