#include "core/pieces.h"

#include <algorithm>
#include <numeric>

#include "core/casts.h"
#include "core/code_rows.h"
#include "core/nested_scales.h"
#include "core/param_runs.h"
#include "core/qparams.h"
#include "core/registry.h"
#include "core/word_order.h"

namespace monoquant {
namespace {

// Codes of 4 bits are cut in pairs; that is the smallest packing there is.
constexpr uint64_t kPair = 2;

// Of one scale that is being written: as a float, as it is stored, and a zero
// point of one byte.
constexpr uint64_t kParamBytes = 9;

// Buffers for parameters that are written, a slab at a time.
uint64_t SlabBytes(uint64_t slots) {
  return std::min(slots, kParamSlab) * kParamBytes;
}

// Chooses cuts for one tensor of a format with scales.
class ScaledCutter {
 public:
  // Pieces have a multiple of `unit` elements (the last one may have fewer),
  // and all values of their scales then, unless it is 0.
  ScaledCutter(DType dtype, const ParamLayout& layout, uint64_t slot_bytes,
               uint64_t chunk_bytes, uint64_t unit)
      : layout_(layout),
        unit_(unit),
        element_bytes_(FloatBytes(dtype)),
        scale_bytes_(slot_bytes + sizeof(QParams)),
        max_(chunk_bytes / element_bytes_),
        budget_(3 * chunk_bytes) {}

  TensorPieces Cut() const {
    TensorPieces pieces;
    if (OneTrip(&pieces.cuts)) return pieces;
    pieces.two_trips = true;
    pieces.cuts = Cuts(layout_.num_elements, layout_.row, kPair, max_);
    return pieces;
  }

  // The most scales that a piece of a two-trip tensor has values for.
  uint64_t LargestSlots(const Cuts& cuts) const {
    const uint64_t cycle = layout_.segment * layout_.num_params;
    const bool crosses = cycle < layout_.row || layout_.row <= max_;
    if (crosses && cycle != layout_.num_elements) return layout_.num_params;
    return std::min(layout_.num_params, cuts.largest() / layout_.segment + 2);
  }

 private:
  // Elements of a piece, all of whose scales are its own: so few that what goes
  // with the scales fits the budget too, where they are many (groups of 1).
  uint64_t MaxOfOneTrip() const {
    const uint64_t segment_bytes =
        layout_.segment * (element_bytes_ + 1) + scale_bytes_;
    return std::min(max_, budget_ / segment_bytes * layout_.segment);
  }

  bool OneTrip(Cuts* cuts) const {
    const uint64_t total = layout_.num_elements;
    const uint64_t segment = layout_.segment;
    const uint64_t row = layout_.row;
    if (unit_ != 0) {
      // However many these are.
      *cuts = Cuts(total, unit_, unit_, std::max(unit_, MaxOfOneTrip()));
      return true;
    }
    if (segment * layout_.num_params != total) {
      // Every scale has values all over the tensor.
      const uint64_t bytes =
          total * (element_bytes_ + 1) + layout_.num_params * scale_bytes_;
      if (total > max_ || bytes > budget_) return false;
      *cuts = Cuts(total, total, total, max_);
      return true;
    }
    if (segment > max_) return false;
    const uint64_t max = MaxOfOneTrip();
    if (segment % row == 0) {
      *cuts = Cuts(total, segment, segment, max);
      return true;
    }
    // Groups: whole rows, or parts of a row that end with a group and a byte.
    const uint64_t unit = std::lcm(segment, kPair);
    if (row > max && unit > max) return false;
    *cuts = Cuts(total, row, unit, max);
    return true;
  }

  const ParamLayout& layout_;
  const uint64_t unit_;
  const uint64_t element_bytes_;
  const uint64_t scale_bytes_;
  const uint64_t max_;
  const uint64_t budget_;
};

// Elements that a piece has a multiple of; 0 where only scales are kept whole.
uint64_t UnitOf(const ParamLayout& layout, const CodePacking& packing) {
  if (packing.order != CodeOrder::kRows) return kWordOrderUnit * layout.row;
  if (packing.scale_block > 1) return packing.scale_block * layout.segment;
  // Rows of a block have their scales in common.
  return layout.block_rows > 1 ? layout.block_rows * layout.row : 0;
}

}  // namespace

TensorPieces CutCopy(DType dtype, uint64_t byte_size, uint64_t chunk_bytes) {
  // Eight elements of any type end at a byte.
  constexpr uint64_t kUnit = 8;
  TensorPieces pieces;
  if (byte_size == 0) return pieces;
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(dtype).bits);
  // ByteSize has shown that the bits of a tensor can be counted in 64.
  const uint64_t elements = byte_size * 8 / bits;
  const uint64_t max = chunk_bytes * 8 / bits;
  pieces.cuts = Cuts(elements, elements, kUnit, max);
  pieces.input_bytes = pieces.cuts.largest() * bits / 8;
  return pieces;
}

TensorPieces CutQuantize(DType dtype, const QuantScheme& scheme,
                         const ParamLayout& layout, size_t slot_bytes,
                         uint64_t chunk_bytes, const CodePacking& packing) {
  const Codec& codec = DefaultRegistry().GetCodec(scheme.format);
  const bool in_lines = packing.order != CodeOrder::kRows;
  const bool nested = packing.scale_block > 1;
  TensorPieces pieces;
  if (!HasScales(scheme.format)) {
    pieces.cuts = Cuts(layout.num_elements, layout.num_elements, 1,
                       chunk_bytes / FloatBytes(dtype));
  } else {
    const ScaledCutter cutter(dtype, layout, slot_bytes, chunk_bytes,
                              UnitOf(layout, packing));
    pieces = cutter.Cut();
    const uint64_t largest = pieces.cuts.largest();
    if (pieces.two_trips) {
      pieces.param_bytes =
          std::max(cutter.LargestSlots(pieces.cuts) * slot_bytes,
                   SlabBytes(layout.num_params));
      pieces.shared_bytes = layout.num_params * (slot_bytes + sizeof(QParams));
    } else {
      const uint64_t slots =
          layout.block_rows != 0
              ? SlotsOf(layout, 0, largest).count
              : std::min(layout.num_params, largest / layout.segment + 1);
      pieces.param_bytes = slots * (slot_bytes + sizeof(QParams)) +
                           (nested     ? NestedScalesBytes(slots)
                            : in_lines ? slots * kParamBytes
                                       : SlabBytes(slots));
    }
  }
  // Groups of kLargestGlobalGroup fit any piece.
  pieces.two_trips = pieces.two_trips || HasGlobalScale(scheme) || nested;
  if (nested) pieces.shared_bytes += sizeof(ScaleSum);
  const uint64_t largest = pieces.cuts.largest();
  pieces.input_bytes = largest * FloatBytes(dtype);
  const CodeRows rows(codec, layout.row, packing);
  // A part of a row may end with the row, which is filled up then. Pieces of
  // nested scales begin anywhere in a row, and their rows leave no gaps.
  pieces.code_bytes = layout.row <= largest && !nested
                          ? rows.BytesOf(0, largest / layout.row * layout.row)
                          : rows.BytesOf(0, largest) + packing.row_bytes - 1;
  // By rows, and as it is stored.
  if (in_lines) pieces.code_bytes *= 2;
  pieces.shared_bytes += pieces.cuts.size() * kResultBytes;
  return pieces;
}

Cuts CutTiles(const ElementRange& piece, uint64_t row) {
  const bool whole_rows = piece.begin % row == 0 && piece.size() % row == 0;
  return Cuts(piece.size(), whole_rows ? row : piece.size(), kPair,
              kTileElements);
}

std::optional<Cuts> CutSegments(const ElementRange& piece,
                                const ParamLayout& layout) {
  const uint64_t segment = layout.segment;
  const uint64_t row = layout.row;
  // Every scale has values all over the tensor, or in many rows.
  if (segment * layout.num_params != layout.num_elements ||
      layout.block_rows != 0) {
    return std::nullopt;
  }
  // Whole rows, or parts of one that end with a segment and a byte.
  const uint64_t block = std::max(row, segment);
  const bool whole = piece.begin % block == 0 && piece.size() % block == 0;
  const uint64_t unit = std::lcm(segment, kPair);
  const uint64_t smallest = whole ? std::min(block, unit) : unit;
  if (smallest > kLargestTile) return std::nullopt;
  return Cuts(piece.size(), whole ? block : piece.size(), unit,
              std::max(smallest, kTileElements));
}

}  // namespace monoquant
