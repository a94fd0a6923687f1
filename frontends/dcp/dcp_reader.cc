#include "frontends/dcp/dcp_reader.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/dcp/assembled_reader.h"
#include "frontends/dcp/chunked_tensor.h"
#include "frontends/dcp/dcp_metadata.h"
#include "frontends/dcp/dcp_names.h"
#include "frontends/dcp/file_pool.h"
#include "frontends/dcp/slice_store.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/read_range.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kHeadBytes = 256;

constexpr size_t kNoFile = std::numeric_limits<size_t>::max();

bool HasFile(const CheckpointFiles& files, absl::string_view name) {
  return std::binary_search(files.names.begin(), files.names.end(), name);
}

bool IsChunkFile(absl::string_view name) {
  return absl::EndsWith(name, ".distcp");
}

// Whether it begins with a pickle of a class of torch.distributed.
absl::StatusOr<bool> IsDcpMetadata(const CheckpointFiles& files) {
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(kDcpMetadataFile));
  std::string head(
      static_cast<size_t>(std::min<uint64_t>(kHeadBytes, source->size())),
      '\0');
  MQ_RETURN_IF_ERROR(source->ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return absl::StartsWith(head, "\x80") &&
         absl::StrContains(head, "torch.distributed.");
}

// torch's quantized types keep scale and zero point outside of the chunks.
bool IsQuantizedByTorch(DType dtype) {
  switch (dtype) {
    case DType::kQI8:
    case DType::kQU8:
    case DType::kQI32:
    case DType::kQU4x2:
    case DType::kQU2x4:
      return true;
    default:
      return false;
  }
}

// Puts a reader together.
class Builder {
 public:
  Builder(const CheckpointFiles& files, const DcpMetadata& metadata,
          std::string metadata_path)
      : files_(files),
        metadata_(metadata),
        metadata_path_(std::move(metadata_path)),
        pool_(std::make_shared<FilePool>(files)) {
    index_.container = "dcp";
    index_.path = files.path;
  }

  absl::StatusOr<std::unique_ptr<CheckpointReader>> Build(
      const OpenOptions& options);

 private:
  // A tensor of which .metadata has been read.
  struct Entry {
    BoxList boxes;
    size_t first_chunk;
  };

  absl::Status AddTensor(const DcpItem& item, std::string name);
  absl::Status AddSlice(const DcpSlice& slice);
  absl::StatusOr<std::unique_ptr<ChunkStore>> MakeStore(
      const OpenOptions& options);

  const CheckpointFiles& files_;
  const DcpMetadata& metadata_;
  const std::string metadata_path_;
  std::shared_ptr<FilePool> pool_;
  CheckpointIndex index_;
  // Parallel to index_.tensors.
  std::vector<Entry> entries_;
  std::vector<AssembledTensor> tensors_;
  // Of all chunks of all tensors.
  std::vector<ArchiveSlice> slices_;
  // Key of .metadata to position in index_.tensors.
  absl::flat_hash_map<absl::string_view, size_t> by_key_;
  IndexBudget budget_;
  size_t chunk_numbers_ = 0;
  NameList quantized_;
};

absl::Status Builder::AddTensor(const DcpItem& item, std::string name) {
  MQ_ASSIGN_OR_RETURN(
      DcpTensor tensor,
      ReadDcpTensor(metadata_.graph, item.value, &chunk_numbers_));
  if (IsQuantizedByTorch(tensor.dtype)) {
    quantized_.Add(name, DTypeName(tensor.dtype));
    return absl::OkStatus();
  }
  MQ_RETURN_IF_ERROR(budget_.Add(name, tensor.shape.size()));
  TensorInfo info;
  info.name = std::move(name);
  info.dtype = tensor.dtype;
  const auto byte_size = ByteSize(tensor.dtype, tensor.shape);
  if (!byte_size.ok()) {
    return DataLossError(byte_size.status().message());
  }
  info.byte_size = *byte_size;
  info.shape = std::move(tensor.shape);
  MQ_ASSIGN_OR_RETURN(
      ChunkedTensor chunks,
      ChunkedTensor::Create(info.dtype, info.shape, tensor.chunks));
  by_key_.emplace(*metadata_.graph.AsString(item.key), index_.tensors.size());
  tensors_.push_back({std::move(chunks), slices_.size()});
  slices_.resize(slices_.size() + tensor.chunks.size(), {kNoFile, 0, 0});
  entries_.push_back({std::move(tensor.chunks), tensors_.back().first_chunk});
  index_.tensors.push_back(std::move(info));
  return absl::OkStatus();
}

// Finds the chunk that a slice holds, and checks the slice.
absl::Status Builder::AddSlice(const DcpSlice& slice) {
  const size_t tensor = by_key_.at(slice.key);
  std::vector<int64_t> offset = slice.chunk_offset;
  MQ_RETURN_IF_ERROR(
      ToElements(index_.tensors[tensor].dtype, /*if_scalar=*/0, &offset));
  // Chunks that are not empty have different offsets, by which they are sorted.
  const Entry& entry = entries_[tensor];
  const absl::Span<const size_t> chunks = tensors_[tensor].chunks.chunks();
  const auto found = std::lower_bound(
      chunks.begin(), chunks.end(), offset,
      [&](size_t chunk, const std::vector<int64_t>& wanted) {
        const auto begin = entry.boxes[chunk].offset;
        return std::lexicographical_compare(begin.begin(), begin.end(),
                                            wanted.begin(), wanted.end());
      });
  if (found == chunks.end() || entry.boxes[*found].offset != offset) {
    return absl::OkStatus();  // an empty chunk
  }
  ArchiveSlice& place = slices_[entry.first_chunk + *found];
  const std::string chunk =
      absl::StrCat("its chunk at ", ShapeToString(slice.chunk_offset));
  if (place.file != kNoFile) {
    return DataLossError("malformed metadata: ", chunk, " is stored twice");
  }
  // Names of the directory are bare, so this refuses paths as well.
  if (!HasFile(files_, slice.file)) {
    return NotFoundError(
        chunk, " is in ", QuotedName(slice.file),
        ", which is no file of the directory; copy all files into it");
  }
  MQ_ASSIGN_OR_RETURN(place.file, pool_->Add(slice.file));
  const uint64_t size = pool_->size(place.file);
  if (slice.offset > size || slice.length > size - slice.offset) {
    return DataLossError(absl::StrCat(
        chunk, " has ", slice.length, " bytes at ", slice.offset, " of ",
        QuotedName(slice.file), ", which is truncated: it has ", size,
        " bytes; download or copy it again"));
  }
  place.offset = slice.offset;
  place.length = slice.length;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ChunkStore>> Builder::MakeStore(
    const OpenOptions& options) {
  auto store = std::make_unique<SliceStore>(pool_, options);
  for (size_t i = 0; i < entries_.size(); ++i) {
    const BoxList& boxes = entries_[i].boxes;
    for (size_t chunk = 0; chunk < boxes.size(); ++chunk) {
      const ArchiveSlice& slice = slices_[entries_[i].first_chunk + chunk];
      if (slice.file == kNoFile && !boxes[chunk].IsEmpty()) {
        return DataLossError(
            metadata_path_, ": tensor ", QuotedName(index_.tensors[i].name),
            ": malformed metadata: it does not say where the chunk at ",
            ShapeToString(boxes[chunk].offset), " is stored");
      }
      store->Add(slice, index_.tensors[i].dtype, boxes[chunk].size);
    }
  }
  return store;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> Builder::Build(
    const OpenOptions& options) {
  absl::StatusOr<DcpChoice> choice =
      ChooseDcpTensors(metadata_.items, options.root);
  if (!choice.ok()) return Annotate(files_.path, choice.status());
  index_.root = choice->root;
  index_.notes = std::move(choice->notes);
  for (DcpChoice::Tensor& chosen : choice->tensors) {
    const DcpItem& item = metadata_.items[chosen.item];
    MQ_RETURN_IF_ERROR(WithTensor(metadata_path_, item.name,
                                  AddTensor(item, std::move(chosen.name))));
  }
  MQ_RETURN_IF_ERROR(
      Annotate(metadata_path_,
               ForEachDcpSlice(
                   metadata_,
                   [&](absl::string_view key) { return by_key_.contains(key); },
                   [&](const DcpSlice& slice) { return AddSlice(slice); })));
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<ChunkStore> store, MakeStore(options));
  if (!quantized_.empty()) {
    index_.notes.push_back(
        absl::StrCat("quantized by torch, which distributed checkpoints keep "
                     "without scale and zero point; left out: ",
                     quantized_.ToString()));
  }
  if (metadata_.bytes_behind > 0) {
    index_.notes.push_back(absl::StrCat("bytes after the end of .metadata: ",
                                        metadata_.bytes_behind));
  }
  return MakeAssembledReader(std::move(index_), std::move(tensors_),
                             std::move(store));
}

}  // namespace

absl::StatusOr<bool> IsDcp(const CheckpointFiles& files) {
  if (!HasFile(files, kDcpMetadataFile)) return false;
  if (!files.is_directory && files.main != kDcpMetadataFile) {
    return IsChunkFile(files.main);
  }
  if (std::any_of(files.names.begin(), files.names.end(), IsChunkFile)) {
    return true;
  }
  return IsDcpMetadata(files);
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenDcp(
    const CheckpointFiles& files, const OpenOptions& options) {
  if (!files.is_directory && files.main != kDcpMetadataFile) {
    return InvalidArgumentError(
        files.path,
        ": this file holds a part of a distributed checkpoint; name its "
        "directory");
  }
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(kDcpMetadataFile));
  const uint64_t limit = PickleLimits().bytes;
  if (source->size() > limit) {
    return DataLossError(source->name(), ": has ", source->size(),
                         " bytes, more than the limit of ", limit);
  }
  MQ_ASSIGN_OR_RETURN(std::string pickle, ReadAll(*source, limit));
  const absl::StatusOr<DcpMetadata> metadata = ReadDcpMetadata(
      std::move(pickle),
      options.allow_opaque ? OpaqueCalls::kAllow : OpaqueCalls::kRefuse);
  if (!metadata.ok()) return Annotate(source->name(), metadata.status());
  return Builder(files, *metadata, source->name()).Build(options);
}

}  // namespace monoquant
