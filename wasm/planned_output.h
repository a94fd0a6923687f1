// An output that is planned but not yet made: what an mq_plan handle stands
// for.

#ifndef MONOQUANT_WASM_PLANNED_OUTPUT_H_
#define MONOQUANT_WASM_PLANNED_OUTPUT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/nonfinite_search.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant {

class PlannedOutput {
 public:
  // From an mq_plan request. Keeps `reader` alive.
  static absl::StatusOr<std::unique_ptr<PlannedOutput>> Create(
      std::shared_ptr<const CheckpointReader> reader, const Json& request);

  // Looks through the next piece of a tensor that may hold a value that changes
  // the plan; true if there is another. See mq_settle.
  absl::StatusOr<bool> Settle();
  bool settled() const { return search_ == nullptr; }

  // The text of mq_describe.
  Json Describe() const;

  // The reader to run the plan with: for dequantizing, and for converting what
  // is stored in another way, it is not the one that was given.
  const std::shared_ptr<const CheckpointReader>& reader() const {
    return reader_;
  }
  const Plan& plan() const { return plan_; }
  const Exporter& exporter() const { return *row_->exporter; }
  const FileLayout& layout() const { return layout_; }

 private:
  PlannedOutput() = default;

  absl::Status MakePlans(const Json& request);
  // Plans a quantization, with these tensors left as they are, and lays the
  // file out.
  absl::Status PlanWith(std::vector<std::pair<size_t, std::string>> keep);
  absl::Status LayOut();

  std::shared_ptr<const CheckpointReader> reader_;
  const ExporterRow* row_ = nullptr;
  Recipe recipe_;
  Plan plan_;
  FileLayout layout_;
  // What Settle has still to do, if anything.
  std::unique_ptr<NonfiniteSearch> search_;
  NonfiniteSearch::Worker search_worker_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_PLANNED_OUTPUT_H_
