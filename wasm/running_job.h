// A plan on its way into sinks of the host: what an mq_start handle stands
// for.

#ifndef MONOQUANT_WASM_RUNNING_JOB_H_
#define MONOQUANT_WASM_RUNNING_JOB_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

class RunningJob {
 public:
  // File k of the output goes to sink `first_sink` + k. `chunk_bytes` 0 takes
  // the default. InvalidArgument for a plan that is not settled. `output` may
  // be destroyed at once.
  static absl::StatusOr<std::unique_ptr<RunningJob>> Create(
      const PlannedOutput& output, uint32_t first_sink, uint32_t chunk_bytes);

  // The next piece; the step after the last one completes the output and
  // returns false. After an error always the same error.
  absl::StatusOr<bool> Step();

  uint64_t bytes_done() const { return job_->bytes_done(); }
  uint64_t bytes_total() const { return job_->bytes_total(); }

  // The text of mq_describe. InvalidArgument before the output is complete.
  absl::StatusOr<Json> Describe() const;

 private:
  RunningJob(const PlannedOutput& output, uint32_t first_sink);

  void MakeWriter(const Exporter& exporter);
  absl::Status Write(size_t tensor, uint64_t offset,
                     absl::Span<const uint8_t> bytes, uint32_t crc);
  absl::StatusOr<bool> StepUnlessFailed();
  absl::StatusOr<bool> CopyPiece();
  absl::Status Finish();

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
  bool complete_ = false;
  absl::Status failure_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_RUNNING_JOB_H_
