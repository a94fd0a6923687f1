// A plan on its way into a sink of the host: what an mq_start handle stands
// for.

#ifndef MONOQUANT_WASM_RUNNING_JOB_H_
#define MONOQUANT_WASM_RUNNING_JOB_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/job.h"
#include "exporters/output_writer.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "wasm/host_io.h"
#include "wasm/planned_output.h"

namespace monoquant {

class RunningJob {
 public:
  // `chunk_bytes` 0 takes the default. InvalidArgument for a plan that is not
  // settled. `output` may be destroyed at once.
  static absl::StatusOr<std::unique_ptr<RunningJob>> Create(
      const PlannedOutput& output, uint32_t sink, uint32_t chunk_bytes);

  // The next piece; the step after the last one completes the output and
  // returns false. After an error always the same error.
  absl::StatusOr<bool> Step();

  uint64_t bytes_done() const { return job_->bytes_done(); }
  uint64_t bytes_total() const { return job_->bytes_total(); }

  // The text of mq_describe. InvalidArgument before the output is complete.
  absl::StatusOr<Json> Describe() const;

 private:
  RunningJob(std::shared_ptr<const CheckpointReader> reader, uint32_t sink)
      : reader_(std::move(reader)), sink_(sink) {}

  absl::StatusOr<bool> StepUnlessFailed();

  const std::shared_ptr<const CheckpointReader> reader_;
  HostSink sink_;
  std::unique_ptr<Job> job_;
  std::unique_ptr<OutputWriter> writer_;
  Job::Worker worker_;
  int phase_ = 0;
  bool complete_ = false;
  absl::Status failure_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_RUNNING_JOB_H_
