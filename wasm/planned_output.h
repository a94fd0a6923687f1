// An output that is planned but not yet made: what an mq_plan handle stands
// for.

#ifndef MONOQUANT_WASM_PLANNED_OUTPUT_H_
#define MONOQUANT_WASM_PLANNED_OUTPUT_H_

#include <cstddef>
#include <cstdint>
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
#include "exporters/model_files.h"
#include "exporters/output_files.h"
#include "exporters/programs.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "wasm/host_checkpoint.h"
#include "wasm/planned_files.h"

namespace monoquant {

class PlannedOutput {
 public:
  // From an mq_plan request. Keeps the checkpoint's reader alive.
  static absl::StatusOr<std::unique_ptr<PlannedOutput>> Create(
      const HostCheckpoint& checkpoint, const Json& request);

  // Looks through the next piece of a tensor that may hold a value that changes
  // the plan; true if there is another. See mq_settle.
  absl::StatusOr<bool> Settle();
  bool settled() const { return search_ == nullptr; }

  // The text of mq_describe.
  Json Describe() const;

  // The reader to run the plan with: where weights are decoded, or converted to
  // another storage, it is not that of the checkpoint.
  const std::shared_ptr<const CheckpointReader>& reader() const {
    return reader_;
  }
  const Plan& plan() const { return plan_; }
  const Exporter& exporter() const { return *row_->exporter; }
  // Whether the files belong into a directory.
  bool is_directory() const { return is_directory_; }
  // What is in the files with tensors.
  const std::shared_ptr<const OutputPlan>& output_plan() const {
    return output_plan_;
  }
  // All files, one for each sink.
  const std::vector<PlannedFile>& files() const { return files_; }

 private:
  PlannedOutput() = default;

  absl::Status MakePlans(const HostCheckpoint& checkpoint, const Json& request);
  // Plans a quantization, with these tensors left as they are, and lays the
  // files out.
  absl::Status PlanWith(std::vector<std::pair<size_t, std::string>> keep);
  absl::Status LayOut();

  ModelFiles model_;  // the checkpoint as it is
  std::shared_ptr<const CheckpointReader> reader_;
  const ExporterRow* row_ = nullptr;
  const Program* program_ = nullptr;  // null if none is named
  bool is_directory_ = false;
  uint64_t max_shard_bytes_ = 0;
  Recipe recipe_;
  Plan plan_;
  std::shared_ptr<const OutputPlan> output_plan_;
  std::vector<PlannedFile> files_;
  // What Settle has still to do, if anything.
  std::unique_ptr<NonfiniteSearch> search_;
  NonfiniteSearch::Worker search_worker_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_PLANNED_OUTPUT_H_
