// Looks for NaN and infinity before anything is planned around them.

#ifndef MONOQUANT_CORE_NONFINITE_SEARCH_H_
#define MONOQUANT_CORE_NONFINITE_SEARCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/job.h"
#include "core/plan.h"
#include "ir/checkpoint.h"

namespace monoquant {

// A search through the tensors of a plan that would get scales, which leave no
// place for such values; one bounded piece at a time, like a Job.
class NonfiniteSearch {
 public:
  // The buffer of one worker, reused from step to step.
  using Worker = std::vector<uint8_t>;

  // `reader` must outlive the search and be the one whose index `plan` was made
  // from. InvalidArgument for chunk_bytes out of range; nothing else of
  // `options` matters.
  static absl::StatusOr<std::unique_ptr<NonfiniteSearch>> Create(
      const CheckpointReader* reader, const Plan& plan,
      const JobOptions& options = {});

  // Looks through the next piece; false if none is left to begin. Thread-safe
  // for distinct workers. Errors are those of the reader.
  absl::StatusOr<bool> Step(Worker& worker);

  // Input bytes done so far, and in total. Thread-safe.
  uint64_t bytes_done() const { return bytes_done_; }
  uint64_t bytes_total() const { return bytes_total_; }

  // After the last step: for PlanOptions::keep the tensors that hold one, with
  // the first of them as the reason to state ("NaN at index [3, 17]").
  std::vector<std::pair<size_t, std::string>> Found() const;

 private:
  // One tensor to look through.
  struct Item {
    size_t tensor;
    uint64_t first_piece;
    uint64_t elements;
    uint64_t piece_elements;
    // Of the first such value so far.
    uint64_t element;
    std::string reason;
  };

  explicit NonfiniteSearch(const CheckpointReader* reader) : reader_(reader) {}

  absl::Status Search(Item& item, uint64_t piece, Worker& worker);

  const CheckpointReader* reader_;
  std::vector<Item> items_;
  uint64_t num_pieces_ = 0;
  uint64_t bytes_total_ = 0;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> bytes_done_{0};
  std::mutex mutex_;  // guards what is found
};

// All steps of a search with one worker.
absl::StatusOr<std::vector<std::pair<size_t, std::string>>> FindNonfinite(
    const CheckpointReader& reader, const Plan& plan,
    const JobOptions& options = {});

}  // namespace monoquant

#endif  // MONOQUANT_CORE_NONFINITE_SEARCH_H_
