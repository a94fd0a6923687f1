#include "frontends/torch/torch_reader.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/read_range.h"
#include "frontends/torch/element_ops.h"
#include "frontends/torch/placed_tensor.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/strided.h"
#include "frontends/torch/tile_cache.h"
#include "frontends/torch/torch_archive.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kMaxRecordBytes = uint64_t{64} << 20;

// Views whose elements lie in longer runs than this, in the order in which they
// are read, gain nothing from being gathered ahead.
constexpr uint64_t kLongRun = 4096;

bool IsScattered(const StridedView& view) {
  if (view.IsContiguous()) return false;
  const StridedView::Dim& last = view.dims.back();
  return last.stride != view.item_size || last.size * last.stride < kLongRun;
}

class TorchReader : public CheckpointReader {
 public:
  TorchReader(TorchArchive archive, std::string file, CheckpointIndex index,
              std::vector<PlacedTensor> placed)
      : archive_(std::move(archive)),
        file_(std::move(file)),
        index_(std::move(index)),
        placed_(std::move(placed)) {}

  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override;
  std::optional<FileExtent> Locate(size_t tensor) const override;

 private:
  // Items [first, first + dst.size() / item_size) as they are stored.
  absl::Status ReadItems(size_t tensor, uint64_t first,
                         absl::Span<uint8_t> dst) const;
  absl::Status ReadTiles(size_t tensor, uint64_t first,
                         absl::Span<uint8_t> dst) const;
  StorageReader StorageOf(const PlacedTensor& placed) const;

  const TorchArchive archive_;
  const std::string file_;  // bare name, for Locate
  const CheckpointIndex index_;
  const std::vector<PlacedTensor> placed_;  // parallel to index_.tensors
  mutable TileCache tiles_;
};

absl::Status TorchReader::Read(size_t tensor, uint64_t first, uint64_t count,
                               absl::Span<uint8_t> dst) const {
  MQ_RETURN_IF_ERROR(
      CheckReadRange(index_, tensor, first, count, dst.size()).status());
  if (dst.empty()) return absl::OkStatus();
  const PlacedTensor& placed = placed_[tensor];
  const TensorInfo& info = index_.tensors[tensor];
  MQ_RETURN_IF_ERROR(
      WithTensor(archive_.zip->name(), info.name,
                 ReadItems(tensor, first / placed.elements_per_item, dst)));
  if (placed.big_endian) SwapByteOrder(info.dtype, dst);
  if (placed.conj) Conjugate(info.dtype, dst);
  if (placed.neg) Negate(info.dtype, dst);
  return absl::OkStatus();
}

StorageReader TorchReader::StorageOf(const PlacedTensor& placed) const {
  return
      [this, member = placed.member](uint64_t offset, absl::Span<uint8_t> dst) {
        return archive_.zip->ReadAt(member, offset, dst);
      };
}

absl::Status TorchReader::ReadItems(size_t tensor, uint64_t first,
                                    absl::Span<uint8_t> dst) const {
  const PlacedTensor& placed = placed_[tensor];
  if (IsScattered(placed.view) && dst.size() < TileCache::kTileBytes) {
    return ReadTiles(tensor, first, dst);
  }
  return ReadStrided(placed.view, first, dst.size() / placed.view.item_size,
                     StorageOf(placed), dst);
}

absl::Status TorchReader::ReadTiles(size_t tensor, uint64_t first,
                                    absl::Span<uint8_t> dst) const {
  const PlacedTensor& placed = placed_[tensor];
  const uint64_t item_size = placed.view.item_size;
  const uint64_t items_per_tile = TileCache::kTileBytes / item_size;
  while (!dst.empty()) {
    const uint64_t tile = first / items_per_tile;
    const uint64_t tile_first = tile * items_per_tile;
    const uint64_t tile_items =
        std::min(items_per_tile, placed.view.elements - tile_first);
    MQ_ASSIGN_OR_RETURN(
        const TileCache::Tile bytes,
        tiles_.Get(tensor, tile, static_cast<size_t>(tile_items * item_size),
                   [&](absl::Span<uint8_t> all) {
                     return ReadStrided(placed.view, tile_first, tile_items,
                                        StorageOf(placed), all);
                   }));
    const auto begin = static_cast<size_t>((first - tile_first) * item_size);
    const size_t size = std::min(dst.size(), bytes->size() - begin);
    std::memcpy(dst.data(), bytes->data() + begin, size);
    dst.remove_prefix(size);
    first += size / item_size;
  }
  return absl::OkStatus();
}

std::optional<FileExtent> TorchReader::Locate(size_t tensor) const {
  if (tensor >= placed_.size()) return std::nullopt;
  const PlacedTensor& placed = placed_[tensor];
  const uint64_t size = index_.tensors[tensor].byte_size;
  if (size == 0 || !placed.IsVerbatim()) return std::nullopt;
  const auto data_offset = archive_.zip->DataOffset(placed.member);
  if (!data_offset.ok()) return std::nullopt;
  return FileExtent{file_, *data_offset + placed.view.offset, size};
}

absl::StatusOr<StateDict> ReadStateDict(const TorchArchive& archive,
                                        const OpenOptions& options) {
  const ZipArchive& zip = *archive.zip;
  MQ_ASSIGN_OR_RETURN(std::string pickle,
                      zip.ReadMember(archive.data_pkl, PickleLimits().bytes));
  const size_t size = pickle.size();
  const absl::StatusOr<PickleGraph> graph = ReadPickle(std::move(pickle));
  if (!graph.ok()) {
    const std::string where = absl::StrCat(
        zip.name(), ": member ", QuotedName(zip.entry(archive.data_pkl).name));
    return Annotate(where, graph.status());
  }
  absl::StatusOr<StateDict> found = FindStateDict(*graph, options.root);
  if (!found.ok()) return Annotate(zip.name(), found.status());
  if (graph->consumed() < size) {
    found->notes.push_back(absl::StrCat("bytes after the end of data.pkl: ",
                                        size - graph->consumed()));
  }
  return found;
}

absl::Status ReadRecord(const TorchArchive& archive, CheckpointIndex* index) {
  const auto member = archive.Find(kQuantRecordFile);
  if (!member.has_value()) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      archive.zip->ReadMember(*member, kMaxRecordBytes));
  absl::StatusOr<QuantRecord> record = QuantRecordFromJson(text);
  if (!record.ok()) {
    return absl::DataLossError(
        absl::StrCat(archive.zip->name(), ": member ",
                     QuotedName(archive.zip->entry(*member).name), ": ",
                     record.status().message()));
  }
  index->quant = *std::move(record);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> IsTorchZip(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  uint8_t magic[4] = {};
  if (source->size() < sizeof(magic)) return false;
  MQ_RETURN_IF_ERROR(source->ReadAt(0, absl::MakeSpan(magic)));
  // A member's header, or the end record of an archive without members.
  return magic[0] == 'P' && magic[1] == 'K' &&
         ((magic[2] == 3 && magic[3] == 4) || (magic[2] == 5 && magic[3] == 6));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchZip(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  MQ_ASSIGN_OR_RETURN(TorchArchive archive,
                      OpenTorchArchive(std::move(source)));
  MQ_ASSIGN_OR_RETURN(const StateDict state_dict,
                      ReadStateDict(archive, options));
  CheckpointIndex index;
  index.container = archive.torchscript ? "torchscript" : "torch";
  index.path = files.path;
  index.root = state_dict.root;
  index.notes = archive.notes;
  index.notes.insert(index.notes.end(), state_dict.notes.begin(),
                     state_dict.notes.end());
  std::vector<PlacedTensor> placed;
  NameList longer;
  index.tensors.reserve(state_dict.tensors.size());
  placed.reserve(state_dict.tensors.size());
  for (const NamedTensor& named : state_dict.tensors) {
    TensorInfo info;
    MQ_ASSIGN_OR_RETURN(PlacedTensor tensor,
                        PlaceTensor(archive, named, &info));
    if (archive.zip->entry(tensor.member).size > named.tensor.storage_bytes) {
      longer.Add(named.name);
    }
    placed.push_back(std::move(tensor));
    index.tensors.push_back(std::move(info));
  }
  if (!longer.empty()) {
    index.notes.push_back(absl::StrCat(
        "storages have more bytes than the pickle says: ", longer.ToString()));
  }
  FindTies(placed, &index.tensors);
  const std::string overlaps = DescribeOverlaps(placed, index.tensors);
  if (!overlaps.empty()) index.notes.push_back(overlaps);
  MQ_RETURN_IF_ERROR(ReadRecord(archive, &index));
  MQ_RETURN_IF_ERROR(ValidateIndex(index));
  return std::make_unique<TorchReader>(std::move(archive), files.main,
                                       std::move(index), std::move(placed));
}

}  // namespace monoquant
