#include "frontends/dcp/slice_store.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/torch/torch_reader.h"
#include "ir/byte_source.h"
#include "ir/errors.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// What an open archive takes however small it is.
constexpr uint64_t kOpenBytes = 4096;

std::string Describe(DType dtype, absl::Span<const int64_t> shape) {
  return absl::StrCat(DTypeName(dtype), " ", ShapeToString(shape));
}

}  // namespace

SliceStore::SliceStore(std::shared_ptr<const FilePool> files,
                       const OpenOptions& options)
    : files_(std::move(files)), options_(options), open_(kMaxOpenBytes) {
  // A slice holds a bare tensor and is read as it is.
  options_.root.clear();
  options_.as_stored = true;
}

void SliceStore::Add(const ArchiveSlice& slice, DType dtype,
                     absl::Span<const int64_t> shape) {
  chunks_.push_back(
      {slice, dtype, static_cast<uint32_t>(shape.size()), sizes_.size()});
  sizes_.insert(sizes_.end(), shape.begin(), shape.end());
}

absl::StatusOr<std::shared_ptr<CheckpointReader>> SliceStore::Open(
    const Chunk& chunk) const {
  const ArchiveSlice& slice = chunk.slice;
  const auto source = std::make_shared<PooledSlice>(files_, slice.file,
                                                    slice.offset, slice.length);
  CheckpointFiles files;
  files.path = source->name();
  files.main = files_->name(slice.file);
  files.names = {files.main};
  files.open = [source](absl::string_view)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> { return source; };
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<CheckpointReader> reader,
                      OpenTorchZip(files, options_));
  const std::vector<TensorInfo>& tensors = reader->index().tensors;
  const absl::Span<const int64_t> shape = ShapeOf(chunk);
  if (tensors.size() != 1) {
    return DataLossError(source->name(), ": has ", tensors.size(),
                         " tensors, but .metadata promises one, ",
                         Describe(chunk.dtype, shape));
  }
  if (tensors[0].dtype != chunk.dtype || tensors[0].shape != shape) {
    return DataLossError(
        source->name(), ": is ", Describe(tensors[0].dtype, tensors[0].shape),
        ", but .metadata promises ", Describe(chunk.dtype, shape));
  }
  return reader;
}

absl::StatusOr<std::shared_ptr<CheckpointReader>> SliceStore::Get(
    size_t chunk) const {
  const Chunk& wanted = chunks_[chunk];
  const auto bytes = ByteSize(wanted.dtype, ShapeOf(wanted));
  const uint64_t overhead = bytes.ok() && *bytes < wanted.slice.length
                                ? wanted.slice.length - *bytes
                                : 0;
  return open_.Get(chunk, kOpenBytes + overhead, [&] { return Open(wanted); });
}

absl::Status SliceStore::Read(size_t chunk, uint64_t offset,
                              absl::Span<uint8_t> dst) const {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<CheckpointReader> reader,
                      Get(chunk));
  // Whole bytes in, whole elements out, also of types below 8 bits.
  const auto bits =
      static_cast<uint64_t>(GetDTypeInfo(chunks_[chunk].dtype).bits);
  return reader->Read(0, offset * 8 / bits, dst.size() * 8 / bits, dst);
}

std::optional<FileExtent> SliceStore::Locate(size_t chunk) const {
  const auto reader = Get(chunk);
  if (!reader.ok()) return std::nullopt;
  std::optional<FileExtent> extent = (*reader)->Locate(0);
  if (extent.has_value()) extent->offset += chunks_[chunk].slice.offset;
  return extent;
}

}  // namespace monoquant
