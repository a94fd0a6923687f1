// How a job cuts the tensors of a plan: into pieces whose buffers fit a chunk.
//
// A tensor is quantized in one trip where a piece can hold all values of its
// scales: read, observe, encode, write. Where it cannot (one scale for a large
// tensor, channels along an inner axis, rows longer than a piece), the
// tensor takes two: all pieces are observed first, then all are encoded. With a
// global scale there is a trip of its own for that, and then the one trip; and
// so there is for the offset of scales that are quantized themselves.

#ifndef MONOQUANT_CORE_PIECES_H_
#define MONOQUANT_CORE_PIECES_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/cuts.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

// The elements that are worked on at a time, within a piece: buffers of floats
// of this length stay in the first-level cache.
inline constexpr uint64_t kTileElements = 4096;
// At most, where more of them belong to one scale: in the second-level cache.
inline constexpr uint64_t kLargestTile = 16384;

// Scales and zero points are written this many at a time.
inline constexpr uint64_t kParamSlab = 1 << 14;

// Memory of the result of one piece; see job.cc.
inline constexpr uint64_t kResultBytes = 64;

struct TensorPieces {
  Cuts cuts;
  bool two_trips = false;
  // Buffers of a worker for the largest piece: the input, the codes, and
  // parameters with what they are computed from.
  uint64_t input_bytes = 0;
  uint64_t code_bytes = 0;
  uint64_t param_bytes = 0;
  // What is kept from piece to piece, for all workers together.
  uint64_t shared_bytes = 0;
};

// A tensor that is copied.
TensorPieces CutCopy(DType dtype, uint64_t byte_size, uint64_t chunk_bytes);

// A tensor of type `dtype` that is quantized; it has elements. `slot_bytes` is
// what its observer takes for one scale (0 for float formats). Pieces of one
// that is stored in WordOrder, or has blocks, are whole rows, kWordOrderUnit or
// those of a block even if these take more than a chunk; those of one with
// scales that are quantized together (CodePacking::scale_block) have all groups
// of these.
TensorPieces CutQuantize(DType dtype, const QuantScheme& scheme,
                         const ParamLayout& layout, size_t slot_bytes,
                         uint64_t chunk_bytes, const CodePacking& packing = {});

// Cuts a piece of a tensor with packing rows of `row` elements into tiles, each
// of which begins at a byte of the packed codes.
Cuts CutTiles(const ElementRange& piece, uint64_t row);

// The same for a piece of a tensor of one trip, into tiles that have all values
// of their scales. None if that takes tiles of more than kLargestTile.
std::optional<Cuts> CutSegments(const ElementRange& piece,
                                const ParamLayout& layout);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_PIECES_H_
