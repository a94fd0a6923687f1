#include "frontends/dcp/assembled_reader.h"

#include <utility>

#include "frontends/read_range.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

class AssembledReader : public CheckpointReader {
 public:
  AssembledReader(CheckpointIndex index, std::vector<AssembledTensor> tensors,
                  std::unique_ptr<const ChunkStore> store)
      : index_(std::move(index)),
        tensors_(std::move(tensors)),
        store_(std::move(store)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    MQ_ASSIGN_OR_RETURN(
        const uint64_t begin,
        CheckReadRange(index_, tensor, first, count, dst.size()));
    const AssembledTensor& assembled = tensors_[tensor];
    const auto read = [&](size_t chunk, uint64_t offset,
                          absl::Span<uint8_t> bytes) {
      return store_->Read(assembled.first_chunk + chunk, offset, bytes);
    };
    return WithTensor(index_.path, index_.tensors[tensor].name,
                      assembled.chunks.Read(begin, dst, read));
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= tensors_.size()) return std::nullopt;
    const std::optional<size_t> only = tensors_[tensor].chunks.OnlyChunk();
    if (!only.has_value()) return std::nullopt;
    return store_->Locate(tensors_[tensor].first_chunk + *only);
  }

 private:
  const CheckpointIndex index_;
  const std::vector<AssembledTensor> tensors_;
  const std::unique_ptr<const ChunkStore> store_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> MakeAssembledReader(
    CheckpointIndex index, std::vector<AssembledTensor> tensors,
    std::unique_ptr<const ChunkStore> store) {
  MQ_RETURN_IF_ERROR(ValidateIndex(index));
  return std::make_unique<AssembledReader>(std::move(index), std::move(tensors),
                                           std::move(store));
}

}  // namespace monoquant
