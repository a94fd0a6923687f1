#include "core/testing/run_plan.h"

#include <utility>

#include "absl/status/status.h"
#include "ir/status_macros.h"

namespace monoquant::testing {

absl::StatusOr<FinishedJob> RunPlan(const MemoryReader& reader, Plan plan,
                                    uint64_t chunk_bytes) {
  FinishedJob finished;
  finished.plan = plan;
  finished.output = std::make_unique<CollectedOutput>(plan.manifest);
  JobOptions options;
  options.chunk_bytes = chunk_bytes;
  MQ_ASSIGN_OR_RETURN(
      const std::unique_ptr<Job> job,
      Job::Create(&reader, std::move(plan), finished.output->emit(), options));
  MQ_RETURN_IF_ERROR(RunToEnd(*job));
  MQ_RETURN_IF_ERROR(finished.output->Complete());
  if (job->bytes_done() != job->bytes_total()) {
    return absl::InternalError("progress does not end at the total");
  }
  MQ_ASSIGN_OR_RETURN(finished.results, job->Results());
  return finished;
}

Recipe EveryTensor(absl::string_view scheme, Nonfinite nonfinite) {
  Recipe recipe;
  recipe.rules.push_back({"*", ParseSchemeSpec(scheme).value()});
  recipe.nonfinite = nonfinite;
  return recipe;
}

}  // namespace monoquant::testing
