#include "cli/run_output.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "cli/parallel.h"
#include "ir/errors.h"
#include "ir/output_place.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr uint64_t kCopyPiece = uint64_t{1} << 20;

// Whether the same run can have another end: after an interruption, with a disk
// that has space again, or where something was in the way. Not where the input
// is what is wrong with it.
bool MayEndBetter(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kNotFound:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunOutput>> RunOutput::Create(
    const OutputTarget& target, const OutputPlan& plan,
    const Exporter& exporter, const Manifest& manifest,
    const RunOutputOptions& options) {
  std::unique_ptr<RunOutput> output(new RunOutput(target, plan, manifest));
  LocalSinkOptions sink_options;
  sink_options.overwrite = options.force;
  MQ_RETURN_IF_ERROR(output->Claim(options.resume_key, &sink_options));
  MQ_RETURN_IF_ERROR(target.is_directory
                         ? output->OpenDirectory(exporter, sink_options)
                         : output->OpenFile(exporter, sink_options));
  return output;
}

absl::Status RunOutput::Claim(const std::string& key,
                              LocalSinkOptions* options) {
  OutputPlace place;
  if (target_.is_directory) {
    place = PlaceOfDirectory(target_.path);
  } else {
    MQ_ASSIGN_OR_RETURN(place, PlaceOfFile(target_.path));
  }
  absl::StatusOr<std::unique_ptr<UnfinishedOutput>> unfinished =
      UnfinishedOutput::Claim(target_.path, std::move(place), key);
  if (absl::IsAlreadyExists(unfinished.status())) return unfinished.status();
  // Whatever else is wrong, the run itself may be possible, or says why not.
  if (!unfinished.ok()) return absl::OkStatus();
  if (key.empty()) {
    // What an earlier run has left is of no use any more.
    (*unfinished)->Remove();
    return absl::OkStatus();
  }
  unfinished_ = *std::move(unfinished);
  options->unfinished = unfinished_->records().empty() ? Unfinished::kKeep
                                                       : Unfinished::kContinue;
  return absl::OkStatus();
}

absl::Status RunOutput::OpenFile(const Exporter& exporter,
                                 const LocalSinkOptions& options) {
  const FileLayout& layout = plan_.files.front().layout;
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> sink,
                      CreateLocalSink(target_.path, layout.file_size, options));
  sinks_.push_back(std::move(sink));
  writer_ = std::make_unique<OutputWriter>(exporter, manifest_, layout,
                                           *sinks_.front());
  return absl::OkStatus();
}

absl::Status RunOutput::OpenDirectory(const Exporter& exporter,
                                      const LocalSinkOptions& options) {
  MQ_ASSIGN_OR_RETURN(directory_,
                      LocalDirectory::Create(target_.path, options));
  std::vector<ShardOutput> outputs;
  for (size_t i = 0; i < plan_.files.size(); ++i) {
    const WeightFile& file = plan_.files[i];
    MQ_ASSIGN_OR_RETURN(
        std::unique_ptr<ByteSink> sink,
        directory_->CreateSink(file.name, file.layout.file_size));
    outputs.push_back({&plan_.shards[i], file.layout, sink.get()});
    sinks_.push_back(std::move(sink));
  }
  sharded_writer_ =
      std::make_unique<ShardedWriter>(exporter, std::move(outputs));
  return absl::OkStatus();
}

PayloadPlace RunOutput::PlaceOf(size_t output) const {
  const auto [file, tensor] = sharded_writer_ != nullptr
                                  ? sharded_writer_->Find(output)
                                  : std::make_pair(size_t{0}, output);
  return {file, plan_.files[file].layout.offsets[tensor]};
}

absl::Status RunOutput::Adopt(const FinishedRange& range) {
  return writer_ != nullptr ? writer_->Adopt(range)
                            : sharded_writer_->Adopt(range);
}

absl::StatusOr<std::vector<FinishedPiece>> RunOutput::TakeOver(
    int threads, const std::atomic<bool>& cancel, Progress& progress) {
  if (unfinished_ == nullptr) return std::vector<FinishedPiece>();
  std::vector<std::string> files;
  for (const WeightFile& file : plan_.files) {
    files.push_back(target_.is_directory
                        ? absl::StrCat(unfinished_->PartPath(), "/", file.name)
                        : unfinished_->PartPath());
  }
  MQ_ASSIGN_OR_RETURN(
      std::vector<FinishedPiece> finished,
      FindFinishedParts(
          unfinished_->records(), files, manifest_.tensors.size(),
          [this](size_t output) { return PlaceOf(output); }, threads, cancel,
          progress));
  for (const FinishedPiece& piece : finished) {
    for (const FinishedRange& range : piece.ranges) {
      MQ_RETURN_IF_ERROR(Adopt(range));
    }
  }
  return finished;
}

std::function<absl::Status(const FinishedPiece&)> RunOutput::on_finished() {
  if (unfinished_ == nullptr) return nullptr;
  return [this](const FinishedPiece& piece) {
    unfinished_->Add(EncodeFinishedPiece(piece));
    return absl::OkStatus();
  };
}

absl::Status RunOutput::WriteSideFile(const std::string& name,
                                      const ByteSource& source,
                                      const std::atomic<bool>& cancel) {
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSink> sink,
                      directory_->CreateSink(name, source.size()));
  std::vector<uint8_t> piece;
  for (uint64_t at = 0; at < source.size(); at += piece.size()) {
    if (cancel.load()) return CancelledError(kInterrupted);
    piece.resize(std::min(kCopyPiece, source.size() - at));
    MQ_RETURN_IF_ERROR(source.ReadAt(at, absl::MakeSpan(piece)));
    MQ_RETURN_IF_ERROR(sink->WriteAt(at, piece));
  }
  return sink->Commit();
}

absl::Status RunOutput::WriteSideFiles(const Input& input,
                                       const std::atomic<bool>& cancel) {
  for (const std::string& name : plan_.side_files) {
    MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                        input.checkpoint_files.open(name));
    MQ_RETURN_IF_ERROR(WriteSideFile(name, *source, cancel));
  }
  for (const TextFile& file : plan_.made_files) {
    MQ_RETURN_IF_ERROR(
        WriteSideFile(file.name, MemorySource(file.name, file.text), cancel));
  }
  if (plan_.index_name.empty()) return absl::OkStatus();
  // The last to be put in place: who finds an index finds its shards.
  return WriteSideFile(plan_.index_name,
                       MemorySource(plan_.index_name, plan_.index_text),
                       cancel);
}

Emit RunOutput::emit() {
  return [this](size_t output, uint64_t offset, absl::Span<const uint8_t> bytes,
                uint32_t crc) {
    return writer_ != nullptr
               ? writer_->Write(output, offset, bytes, crc)
               : sharded_writer_->Write(output, offset, bytes, crc);
  };
}

absl::Status RunOutput::Finish() {
  if (writer_ != nullptr) {
    MQ_RETURN_IF_ERROR(writer_->Finish());
  } else {
    MQ_RETURN_IF_ERROR(sharded_writer_->Finish());
    MQ_RETURN_IF_ERROR(directory_->Commit());
  }
  if (unfinished_ != nullptr) unfinished_->Remove();
  return absl::OkStatus();
}

absl::Status RunOutput::Stop(const absl::Status& error) {
  if (unfinished_ == nullptr) return error;
  if (!MayEndBetter(error.code())) unfinished_->Remove();
  if (!unfinished_->worth_keeping()) return error;
  const std::string advice =
      absl::StrCat("; what is finished is kept in ", unfinished_->PartPath(),
                   ", the same command goes on from there");
  if (absl::IsCancelled(error)) {
    return CancelledError("interrupted", advice);
  }
  return DeadlineExceededError(error.message(), advice);
}

}  // namespace monoquant::cli
