// Runs a plan, one bounded piece at a time.
//
// A job knows no threads, clock or files: the caller decides who steps, when to
// stop, and where the bytes go. Any number of workers, any chunk size and any
// interleaving give the same output bytes.

#ifndef MONOQUANT_CORE_JOB_H_
#define MONOQUANT_CORE_JOB_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/error_stats.h"
#include "core/finished_piece.h"
#include "core/plan.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Receives finished bytes: `bytes` of output tensor `output` (index into
// Manifest::tensors) from byte `offset` of that tensor on, and their CRC-32 (as
// in zip). Every byte of every untied output tensor is emitted exactly once, in
// no particular order, from whichever thread steps.
using Emit =
    std::function<absl::Status(size_t output, uint64_t offset,
                               absl::Span<const uint8_t> bytes, uint32_t crc)>;

// The share of one of several jobs for the same plan, with the same options, on
// machines or instances that know nothing of each other: pieces of one trip are
// dealt out one by one, tensors of two with all of their pieces and with those
// that they have a global scale in common with. Each share is a stretch of the
// checkpoint of about the same size; together they are all pieces.
struct JobShare {
  uint32_t number = 0;  // 0 to count - 1
  uint32_t count = 1;
};

struct JobOptions {
  // Input bytes of one piece, at most: 64 KiB to 1 GiB. Bounds the memory of a
  // worker at about 4 x chunk_bytes; a tensor of any size is cut to fit. What
  // is kept beside that for the whole run is 16 bytes for each scale of tensors
  // whose scales need more than one piece. PeakMemory (core/plan.h) has the
  // figure for a plan.
  uint64_t chunk_bytes = 8u << 20;

  // Compare what is written with the input: TensorResult::error. Without it the
  // figures are those of no values, and a job takes up to a third less time.
  bool measure_errors = true;

  // Called for each piece after all of it was emitted, by the thread that did
  // it; may be empty. An error ends the job like one of Emit.
  std::function<absl::Status(const FinishedPiece&)> on_finished;

  // All pieces that are this job's; nothing of others is read or emitted. Who
  // gives what on_finished was told by all jobs to one more as `finished` has
  // the whole.
  JobShare share;

  // Pieces that an earlier job for the same plan, with the same chunk_bytes,
  // has finished. They count as done: nothing of them is read or emitted.
  std::vector<FinishedPiece> finished;
};

// InvalidArgument if `chunk_bytes` is out of range, or there is no such share.
// Looks at nothing else.
absl::Status ValidateJobOptions(const JobOptions& options);

// What is known of a quantized tensor after the run.
struct TensorResult {
  size_t input = 0;
  // Of the decoded codes against the input. Values that Nonfinite::kZero
  // replaced count as the 0 that they became.
  ErrorStats error;
  uint64_t nonfinite = 0;  // values replaced or kept, by Nonfinite
};

class Job {
 public:
  // Buffers of one worker, reused from step to step. Not thread-safe.
  class Worker {
   public:
    Worker();
    ~Worker();
    Worker(Worker&&) noexcept;
    Worker& operator=(Worker&&) noexcept;

   private:
    friend class Job;
    struct Buffers;
    std::unique_ptr<Buffers> buffers_;
  };

  // `reader` must outlive the job and be the one whose index `plan` was made
  // from. InvalidArgument for options that ValidateJobOptions refuses, another
  // index, or finished pieces of another plan or chunk size.
  static absl::StatusOr<std::unique_ptr<Job>> Create(
      const CheckpointReader* reader, Plan plan, Emit emit,
      const JobOptions& options = {});

  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  // A job has one or two phases. In phase 0 the statistics of those tensors are
  // gathered that need more than one piece for a scale, or for what scales have
  // in common (a global scale, the mean of scales that are quantized); in the
  // last one everything is written. All steps of a phase must have returned
  // before the next phase begins.
  int num_phases() const;

  // Does the next piece of `phase`; false if none is left to begin. Thread-safe
  // for distinct workers. After an error every further step returns it too.
  //
  // FailedPrecondition, naming tensor and index, for values that the recipe
  // does not allow: NaN and infinity, and finite ones beyond the range of a
  // float format. Errors of the reader and of Emit are passed on.
  absl::StatusOr<bool> Step(int phase, Worker& worker);

  // Input bytes done so far, over all phases, and in total. Thread-safe.
  uint64_t bytes_done() const;
  uint64_t bytes_total() const;

  const Plan& plan() const;

  // After the last step: one entry for each quantized tensor, in plan order.
  // The same values for any chunk size and number of workers, to rounding. Of a
  // share, what its own pieces say.
  absl::StatusOr<std::vector<TensorResult>> Results() const;

 private:
  class Rep;
  explicit Job(std::unique_ptr<Rep> rep);

  std::unique_ptr<Rep> rep_;
};

// Runs all phases with one worker.
absl::Status RunToEnd(Job& job);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_JOB_H_
