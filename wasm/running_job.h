// A plan on its way into sinks of the host: what the handles of mq_start,
// mq_start_part and mq_join stand for.

#ifndef MONOQUANT_WASM_RUNNING_JOB_H_
#define MONOQUANT_WASM_RUNNING_JOB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/error_stats.h"
#include "core/finished_piece.h"
#include "core/job.h"
#include "exporters/output_files.h"
#include "exporters/output_writer.h"
#include "exporters/sharded_writer.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "wasm/host_io.h"
#include "wasm/planned_files.h"
#include "wasm/planned_output.h"

namespace monoquant {

struct RunningJobOptions {
  uint32_t chunk_bytes = 0;  // 0 takes the default
  // A share of the payload alone. The output is completed by a job that has no
  // share, but the records of all.
  std::optional<JobShare> share;
  std::vector<FinishedPiece> finished;
};

// What RunningJob::records of several jobs, one behind the other, tell of.
// DataLoss for anything else.
absl::StatusOr<std::vector<FinishedPiece>> DecodeRecords(
    absl::string_view records);

class RunningJob {
 public:
  // File k of the output goes to sink `first_sink` + k. InvalidArgument for a
  // plan that is not settled. `output` may be destroyed at once.
  static absl::StatusOr<std::unique_ptr<RunningJob>> Create(
      const PlannedOutput& output, uint32_t first_sink,
      RunningJobOptions options);

  // The next piece; the step after the last one completes the output, or the
  // share, and returns false. After an error always the same error.
  absl::StatusOr<bool> Step();

  uint64_t bytes_done() const { return job_->bytes_done(); }
  uint64_t bytes_total() const { return job_->bytes_total(); }

  // The text of mq_describe.
  absl::StatusOr<Json> Describe() const;

  // Of a share that is complete: all of its pieces. InvalidArgument otherwise.
  absl::StatusOr<absl::string_view> records() const;

 private:
  RunningJob(const PlannedOutput& output, uint32_t first_sink, bool is_share);

  void MakeWriter(const Exporter& exporter);
  absl::Status Adopt(const std::vector<FinishedPiece>& finished);
  void NoteFinished(const FinishedPiece& piece);
  absl::Status Write(size_t tensor, uint64_t offset,
                     absl::Span<const uint8_t> bytes, uint32_t crc);
  absl::StatusOr<bool> StepUnlessFailed();
  absl::StatusOr<bool> CopyPiece();
  absl::Status Finish();
  Json DescribeProgress() const;

  const bool is_share_;
  const std::shared_ptr<const CheckpointReader> reader_;
  const std::shared_ptr<const OutputPlan> output_plan_;
  const std::vector<PlannedFile> files_;
  std::vector<std::unique_ptr<HostSink>> sinks_;  // of files_
  std::unique_ptr<Job> job_;
  // One of the two, the latter for a directory.
  std::unique_ptr<OutputWriter> writer_;
  std::unique_ptr<ShardedWriter> sharded_writer_;
  Job::Worker worker_;
  // Of the files that are written as they are: the next one, and how much of it
  // is.
  size_t next_file_ = 0;
  uint64_t copied_bytes_ = 0;
  int phase_ = 0;
  // Of the pieces that this job has done.
  ErrorStats error_;
  std::optional<size_t> last_tensor_;  // index into Plan::tensors
  std::string records_;                // if this is a share
  bool complete_ = false;
  absl::Status failure_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_RUNNING_JOB_H_
