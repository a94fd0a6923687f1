#include "wasm/running_job.h"

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/plan.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<std::unique_ptr<RunningJob>> RunningJob::Create(
    const PlannedOutput& output, uint32_t sink, uint32_t chunk_bytes) {
  if (!output.settled()) {
    return absl::InvalidArgumentError(
        "the plan is not settled; call mq_settle until it returns 0");
  }
  std::unique_ptr<RunningJob> running(new RunningJob(output.reader(), sink));
  // The job exists before the writer, which refers to the job's manifest.
  RunningJob* self = running.get();
  const Emit emit = [self](size_t tensor, uint64_t offset,
                           absl::Span<const uint8_t> bytes, uint32_t crc) {
    return self->writer_->Write(tensor, offset, bytes, crc);
  };
  JobOptions options;
  if (chunk_bytes != 0) options.chunk_bytes = chunk_bytes;
  MQ_ASSIGN_OR_RETURN(running->job_, Job::Create(output.reader().get(),
                                                 output.plan(), emit, options));
  running->writer_ = std::make_unique<OutputWriter>(
      output.exporter(), running->job_->plan().manifest, output.layout(),
      running->sink_);
  return running;
}

absl::StatusOr<bool> RunningJob::Step() {
  MQ_RETURN_IF_ERROR(failure_);
  absl::StatusOr<bool> more = StepUnlessFailed();
  if (!more.ok()) failure_ = more.status();
  return more;
}

absl::StatusOr<bool> RunningJob::StepUnlessFailed() {
  while (phase_ < job_->num_phases()) {
    MQ_ASSIGN_OR_RETURN(const bool did_a_piece, job_->Step(phase_, worker_));
    if (did_a_piece) return true;
    ++phase_;
  }
  if (!complete_) {
    MQ_RETURN_IF_ERROR(writer_->Finish());
    complete_ = true;
  }
  return false;
}

absl::StatusOr<Json> RunningJob::Describe() const {
  if (!complete_) {
    return absl::InvalidArgumentError(
        "the job is not complete; call mq_step until it returns 0");
  }
  MQ_ASSIGN_OR_RETURN(const std::vector<TensorResult> results, job_->Results());
  const std::vector<TensorPlan>& plans = job_->plan().tensors;
  Json tensors((Json::Array()));
  for (const TensorResult& result : results) {
    Json json;
    json.Set("name", reader_->index().tensors[result.input].name);
    json.Set("scheme", SchemeToJson(plans[result.input].scheme));
    json.Set("sqnr_db", result.error.SqnrDb());
    json.Set("mse", result.error.Mse());
    json.Set("cosine", result.error.Cosine());
    json.Set("max_abs_error", result.error.MaxAbsError());
    json.Set("nonfinite", result.nonfinite);
    tensors.Append(std::move(json));
  }
  Json json;
  json.Set("tensors", std::move(tensors));
  return json;
}

}  // namespace monoquant
