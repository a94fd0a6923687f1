#include "wasm/running_job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "ir/byte_source.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Pieces of the files that are written as they are.
constexpr uint64_t kCopyPiece = uint64_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<RunningJob>> RunningJob::Create(
    const PlannedOutput& output, uint32_t first_sink, uint32_t chunk_bytes) {
  if (!output.settled()) {
    return absl::InvalidArgumentError(
        "the plan is not settled; call mq_settle until it returns 0");
  }
  if (output.files().size() > UINT32_MAX - first_sink) {
    return absl::InvalidArgumentError(
        absl::StrCat("there are no ", output.files().size(), " sinks from ",
                     first_sink, " on"));
  }
  std::unique_ptr<RunningJob> running(new RunningJob(output, first_sink));
  // The job exists before the writer, which refers to the job's manifest.
  RunningJob* self = running.get();
  const Emit emit = [self](size_t tensor, uint64_t offset,
                           absl::Span<const uint8_t> bytes, uint32_t crc) {
    return self->Write(tensor, offset, bytes, crc);
  };
  JobOptions options;
  if (chunk_bytes != 0) options.chunk_bytes = chunk_bytes;
  MQ_ASSIGN_OR_RETURN(running->job_, Job::Create(output.reader().get(),
                                                 output.plan(), emit, options));
  running->MakeWriter(output.exporter());
  return running;
}

RunningJob::RunningJob(const PlannedOutput& output, uint32_t first_sink)
    : reader_(output.reader()),
      output_plan_(output.output_plan()),
      files_(output.files()) {
  for (const PlannedFile& file : files_) {
    // A single file is called as the host likes.
    sinks_.push_back(std::make_unique<HostSink>(
        first_sink++, output.is_directory() ? file.name : "output"));
  }
}

void RunningJob::MakeWriter(const Exporter& exporter) {
  const std::vector<WeightFile>& weights = output_plan_->files;
  if (output_plan_->shards.empty()) {
    writer_ = std::make_unique<OutputWriter>(
        exporter, job_->plan().manifest, weights.front().layout, *sinks_[0]);
    return;
  }
  std::vector<ShardOutput> outputs;
  for (size_t i = 0; i < weights.size(); ++i) {
    outputs.push_back(
        {&output_plan_->shards[i], weights[i].layout, sinks_[i].get()});
  }
  sharded_writer_ =
      std::make_unique<ShardedWriter>(exporter, std::move(outputs));
}

absl::Status RunningJob::Write(size_t tensor, uint64_t offset,
                               absl::Span<const uint8_t> bytes, uint32_t crc) {
  return writer_ != nullptr
             ? writer_->Write(tensor, offset, bytes, crc)
             : sharded_writer_->Write(tensor, offset, bytes, crc);
}

absl::StatusOr<bool> RunningJob::Step() {
  MQ_RETURN_IF_ERROR(failure_);
  absl::StatusOr<bool> more = StepUnlessFailed();
  if (!more.ok()) failure_ = more.status();
  return more;
}

absl::StatusOr<bool> RunningJob::StepUnlessFailed() {
  MQ_ASSIGN_OR_RETURN(const bool copied_a_piece, CopyPiece());
  if (copied_a_piece) return true;
  while (phase_ < job_->num_phases()) {
    MQ_ASSIGN_OR_RETURN(const bool did_a_piece, job_->Step(phase_, worker_));
    if (did_a_piece) return true;
    ++phase_;
  }
  if (!complete_) {
    MQ_RETURN_IF_ERROR(Finish());
    complete_ = true;
  }
  return false;
}

// Writes the next piece of the files that are written as they are; false if
// there is none.
absl::StatusOr<bool> RunningJob::CopyPiece() {
  for (; next_file_ < files_.size(); ++next_file_, copied_bytes_ = 0) {
    const ByteSource* content = files_[next_file_].content.get();
    if (content == nullptr || copied_bytes_ == content->size()) continue;
    std::vector<uint8_t> piece(static_cast<size_t>(
        std::min(kCopyPiece, content->size() - copied_bytes_)));
    MQ_RETURN_IF_ERROR(content->ReadAt(copied_bytes_, absl::MakeSpan(piece)));
    MQ_RETURN_IF_ERROR(sinks_[next_file_]->WriteAt(copied_bytes_, piece));
    copied_bytes_ += piece.size();
    return true;
  }
  return false;
}

absl::Status RunningJob::Finish() {
  MQ_RETURN_IF_ERROR(writer_ != nullptr ? writer_->Finish()
                                        : sharded_writer_->Finish());
  for (const std::unique_ptr<HostSink>& sink : sinks_) {
    MQ_RETURN_IF_ERROR(sink->PutInPlace());
  }
  return absl::OkStatus();
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
