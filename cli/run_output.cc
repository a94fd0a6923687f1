#include "cli/run_output.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "cli/parallel.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr uint64_t kCopyPiece = uint64_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<RunOutput>> RunOutput::Create(
    const OutputTarget& target, const OutputPlan& plan,
    const Exporter& exporter, const Manifest& manifest, bool force) {
  std::unique_ptr<RunOutput> output(new RunOutput(plan));
  LocalSinkOptions options;
  options.overwrite = force;
  MQ_RETURN_IF_ERROR(
      target.is_directory
          ? output->OpenDirectory(target, exporter, options)
          : output->OpenFile(target, exporter, manifest, options));
  return output;
}

absl::Status RunOutput::OpenFile(const OutputTarget& target,
                                 const Exporter& exporter,
                                 const Manifest& manifest,
                                 const LocalSinkOptions& options) {
  const FileLayout& layout = plan_.files.front().layout;
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<ByteSink> sink,
                      CreateLocalSink(target.path, layout.file_size, options));
  sinks_.push_back(std::move(sink));
  writer_ = std::make_unique<OutputWriter>(exporter, manifest, layout,
                                           *sinks_.front());
  return absl::OkStatus();
}

absl::Status RunOutput::OpenDirectory(const OutputTarget& target,
                                      const Exporter& exporter,
                                      const LocalSinkOptions& options) {
  MQ_ASSIGN_OR_RETURN(directory_, LocalDirectory::Create(target.path, options));
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

absl::Status RunOutput::WriteSideFile(const std::string& name,
                                      const ByteSource& source,
                                      const std::atomic<bool>& cancel) {
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSink> sink,
                      directory_->CreateSink(name, source.size()));
  std::vector<uint8_t> piece;
  for (uint64_t at = 0; at < source.size(); at += piece.size()) {
    if (cancel.load()) return absl::CancelledError(kInterrupted);
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
  if (plan_.index_name.empty()) return absl::OkStatus();
  // The last to be put in place: who finds an index finds its shards.
  return WriteSideFile(plan_.index_name,
                       MemorySource(plan_.index_name, plan_.index_text),
                       cancel);
}

Emit RunOutput::emit() {
  return [this](size_t output, uint64_t offset,
                absl::Span<const uint8_t> bytes) {
    return writer_ != nullptr ? writer_->Write(output, offset, bytes)
                              : sharded_writer_->Write(output, offset, bytes);
  };
}

absl::Status RunOutput::Finish() {
  if (writer_ != nullptr) return writer_->Finish();
  MQ_RETURN_IF_ERROR(sharded_writer_->Finish());
  return directory_->Commit();
}

}  // namespace monoquant::cli
