#include "wasm/running_job.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "ir/byte_source.h"
#include "ir/errors.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Pieces of the files that are written as they are.
constexpr uint64_t kCopyPiece = uint64_t{1} << 20;

// Of a record, little-endian, in front of it.
constexpr size_t kLengthBytes = 4;

}  // namespace

absl::StatusOr<std::vector<FinishedPiece>> DecodeRecords(
    absl::string_view records) {
  std::vector<FinishedPiece> pieces;
  while (!records.empty()) {
    uint64_t length = 0;
    for (size_t i = 0; i < kLengthBytes && i < records.size(); ++i) {
      length |= static_cast<uint64_t>(static_cast<uint8_t>(records[i]))
                << (8 * i);
    }
    if (records.size() < kLengthBytes ||
        length > records.size() - kLengthBytes) {
      return DataLossError("the records of the parts are cut short");
    }
    records.remove_prefix(kLengthBytes);
    MQ_ASSIGN_OR_RETURN(
        FinishedPiece piece,
        DecodeFinishedPiece(records.substr(0, static_cast<size_t>(length))));
    pieces.push_back(std::move(piece));
    records.remove_prefix(static_cast<size_t>(length));
  }
  return pieces;
}

absl::StatusOr<std::unique_ptr<RunningJob>> RunningJob::Create(
    const PlannedOutput& output, uint32_t first_sink,
    RunningJobOptions options) {
  if (!output.settled()) {
    return InvalidArgumentError(
        "the plan is not settled; call mq_settle until it returns 0");
  }
  if (output.files().size() > UINT32_MAX - first_sink) {
    return InvalidArgumentError("there are no ", output.files().size(),
                                " sinks from ", first_sink, " on");
  }
  std::unique_ptr<RunningJob> running(
      new RunningJob(output, first_sink, options.share.has_value()));
  // The job exists before the writer, which refers to the job's manifest.
  RunningJob* self = running.get();
  const Emit emit = [self](size_t tensor, uint64_t offset,
                           absl::Span<const uint8_t> bytes, uint32_t crc) {
    return self->Write(tensor, offset, bytes, crc);
  };
  JobOptions job_options;
  if (options.chunk_bytes != 0) job_options.chunk_bytes = options.chunk_bytes;
  job_options.share = options.share.value_or(JobShare());
  job_options.finished = std::move(options.finished);
  job_options.on_finished = [self](const FinishedPiece& piece) {
    self->NoteFinished(piece);
    return absl::OkStatus();
  };
  MQ_ASSIGN_OR_RETURN(
      running->job_,
      Job::Create(output.reader().get(), output.plan(), emit, job_options));
  running->MakeWriter(output.exporter());
  MQ_RETURN_IF_ERROR(running->Adopt(job_options.finished));
  return running;
}

RunningJob::RunningJob(const PlannedOutput& output, uint32_t first_sink,
                       bool is_share)
    : is_share_(is_share),
      reader_(output.reader()),
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

absl::Status RunningJob::Adopt(const std::vector<FinishedPiece>& finished) {
  for (const FinishedPiece& piece : finished) {
    for (const FinishedRange& range : piece.ranges) {
      MQ_RETURN_IF_ERROR(writer_ != nullptr ? writer_->Adopt(range)
                                            : sharded_writer_->Adopt(range));
    }
  }
  return absl::OkStatus();
}

void RunningJob::NoteFinished(const FinishedPiece& piece) {
  last_tensor_ = piece.tensor;
  error_.Merge(piece.error);
  if (!is_share_) return;
  const std::string record = EncodeFinishedPiece(piece);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    records_.push_back(static_cast<char>(record.size() >> (8 * i) & 0xff));
  }
  records_ += record;
}

absl::StatusOr<bool> RunningJob::Step() {
  MQ_RETURN_IF_ERROR(failure_);
  absl::StatusOr<bool> more = StepUnlessFailed();
  if (!more.ok()) failure_ = more.status();
  return more;
}

absl::StatusOr<bool> RunningJob::StepUnlessFailed() {
  if (!is_share_) {
    MQ_ASSIGN_OR_RETURN(const bool copied_a_piece, CopyPiece());
    if (copied_a_piece) return true;
  }
  while (phase_ < job_->num_phases()) {
    MQ_ASSIGN_OR_RETURN(const bool did_a_piece, job_->Step(phase_, worker_));
    if (did_a_piece) return true;
    ++phase_;
  }
  if (!complete_) {
    if (!is_share_) MQ_RETURN_IF_ERROR(Finish());
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

absl::StatusOr<absl::string_view> RunningJob::records() const {
  if (!is_share_) {
    return InvalidArgumentError(
        "only a job of mq_start_part has records for mq_join");
  }
  if (!complete_) {
    return InvalidArgumentError(
        "the part is not complete; call mq_step until it returns 0");
  }
  return records_;
}

Json RunningJob::DescribeProgress() const {
  const ErrorTotals& totals = error_.totals();
  Json json;
  json.Set("complete", false);
  json.Set("tensor", last_tensor_.has_value()
                         ? Json(reader_->index().tensors[*last_tensor_].name)
                         : Json());
  json.Set("signal", totals.aa);
  json.Set("noise", totals.ee);
  return json;
}

absl::StatusOr<Json> RunningJob::Describe() const {
  if (!complete_) return DescribeProgress();
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
  json.Set("complete", true);
  json.Set("tensors", std::move(tensors));
  return json;
}

}  // namespace monoquant
