#include "frontends/tensors/placed_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/read_range.h"
#include "frontends/tensors/affine_codes.h"
#include "frontends/tensors/element_ops.h"
#include "frontends/tensors/strided.h"
#include "frontends/tensors/tile_cache.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Views whose elements lie in longer runs than this, in the order in which they
// are read, gain nothing from being gathered ahead.
constexpr uint64_t kLongRun = 4096;

bool IsScattered(const StridedView& view) {
  if (view.IsContiguous()) return false;
  const StridedView::Dim& last = view.dims.back();
  return last.stride != view.item_size || last.size * last.stride < kLongRun;
}

class PlacedReader : public CheckpointReader {
 public:
  PlacedReader(CheckpointIndex index, std::vector<PlacedTensor> placed)
      : index_(std::move(index)), placed_(std::move(placed)) {}

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
  // Elements [first, first + count) of codes, as floats.
  absl::Status ReadCodes(size_t tensor, uint64_t first, uint64_t count,
                         absl::Span<uint8_t> dst) const;

  const CheckpointIndex index_;
  const std::vector<PlacedTensor> placed_;  // parallel to index_.tensors
  mutable TileCache tiles_;
};

StorageReader ReaderOf(const PlacedTensor& placed) {
  return
      [&storage = *placed.storage](uint64_t offset, absl::Span<uint8_t> dst) {
        return storage.ReadAt(offset, dst);
      };
}

absl::Status PlacedReader::Read(size_t tensor, uint64_t first, uint64_t count,
                                absl::Span<uint8_t> dst) const {
  MQ_RETURN_IF_ERROR(
      CheckReadRange(index_, tensor, first, count, dst.size()).status());
  if (dst.empty()) return absl::OkStatus();
  const PlacedTensor& placed = placed_[tensor];
  const TensorInfo& info = index_.tensors[tensor];
  if (placed.codes != nullptr) {
    return WithTensor(placed.storage->file(), info.name,
                      ReadCodes(tensor, first, count, dst));
  }
  MQ_RETURN_IF_ERROR(
      WithTensor(placed.storage->file(), info.name,
                 ReadItems(tensor, first / placed.elements_per_item, dst)));
  if (placed.big_endian) SwapByteOrder(info.dtype, dst);
  if (placed.conj) Conjugate(info.dtype, dst);
  if (placed.neg) Negate(info.dtype, dst);
  return absl::OkStatus();
}

absl::Status PlacedReader::ReadItems(size_t tensor, uint64_t first,
                                     absl::Span<uint8_t> dst) const {
  const PlacedTensor& placed = placed_[tensor];
  if (IsScattered(placed.view) && dst.size() < TileCache::kTileBytes) {
    return ReadTiles(tensor, first, dst);
  }
  return ReadStrided(placed.view, first, dst.size() / placed.view.item_size,
                     ReaderOf(placed), dst);
}

absl::Status PlacedReader::ReadTiles(size_t tensor, uint64_t first,
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
                                        ReaderOf(placed), all);
                   }));
    const auto begin = static_cast<size_t>((first - tile_first) * item_size);
    const size_t size = std::min(dst.size(), bytes->size() - begin);
    std::memcpy(dst.data(), bytes->data() + begin, size);
    dst.remove_prefix(size);
    first += size / item_size;
  }
  return absl::OkStatus();
}

absl::Status PlacedReader::ReadCodes(size_t tensor, uint64_t first,
                                     uint64_t count,
                                     absl::Span<uint8_t> dst) const {
  const PlacedTensor& placed = placed_[tensor];
  const AffineCodes& codes = *placed.codes;
  const uint64_t first_item = first / codes.per_item;
  const uint64_t items = (first + count - 1) / codes.per_item + 1 - first_item;
  // There is room for the codes behind the floats that they become.
  const absl::Span<uint8_t> stored =
      dst.last(static_cast<size_t>(items * placed.view.item_size));
  MQ_RETURN_IF_ERROR(ReadItems(tensor, first_item, stored));
  if (placed.big_endian) SwapByteOrder(codes.dtype, stored);
  return DecodeAffine(codes, first, count, dst);
}

std::optional<FileExtent> PlacedReader::Locate(size_t tensor) const {
  if (tensor >= placed_.size()) return std::nullopt;
  const PlacedTensor& placed = placed_[tensor];
  const uint64_t size = index_.tensors[tensor].byte_size;
  if (size == 0 || !placed.IsVerbatim()) return std::nullopt;
  std::optional<FileExtent> extent = placed.storage->Locate();
  if (!extent.has_value()) return std::nullopt;
  extent->offset += placed.view.offset;
  extent->size = size;
  return extent;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> MakePlacedReader(
    CheckpointIndex index, std::vector<PlacedTensor> placed) {
  FindTies(placed, &index.tensors);
  std::string overlaps = DescribeOverlaps(placed, index.tensors);
  if (!overlaps.empty()) index.notes.push_back(std::move(overlaps));
  MQ_RETURN_IF_ERROR(ValidateIndex(index));
  return std::make_unique<PlacedReader>(std::move(index), std::move(placed));
}

}  // namespace monoquant
