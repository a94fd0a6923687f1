// Runs a plan over a checkpoint in memory, from the start to the end.

#ifndef MONOQUANT_CORE_TESTING_RUN_PLAN_H_
#define MONOQUANT_CORE_TESTING_RUN_PLAN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"

namespace monoquant::testing {

struct FinishedJob {
  Plan plan;
  std::unique_ptr<CollectedOutput> output;
  std::vector<TensorResult> results;
};

// With one worker. Also checks that all bytes came and that all progress was
// counted.
absl::StatusOr<FinishedJob> RunPlan(const MemoryReader& reader, Plan plan,
                                    uint64_t chunk_bytes = 8 << 20);

// The recipe that quantizes every tensor by `scheme` (see ParseSchemeSpec).
Recipe EveryTensor(absl::string_view scheme,
                   Nonfinite nonfinite = Nonfinite::kError);

}  // namespace monoquant::testing

#endif  // MONOQUANT_CORE_TESTING_RUN_PLAN_H_
