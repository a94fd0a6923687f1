// Quantized tensors of torch as the floats that they stand for:
// (code - zero_point) * scale.

#ifndef MONOQUANT_FRONTENDS_TENSORS_AFFINE_CODES_H_
#define MONOQUANT_FRONTENDS_TENSORS_AFFINE_CODES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "frontends/tensors/block_grid.h"
#include "frontends/tensors/placed_tensor.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

// One scale and zero point for each index along an axis.
struct ChannelParams {
  size_t axis = 0;
  BlockGrid grid{1};
  // Of one dimension; read when they are needed. If the zero points are
  // integers torch computes with double scales, otherwise with float32 ones.
  PlacedTensor scales;
  PlacedTensor zero_points;
  DType scale_dtype = DType::kF64;
  DType zero_point_dtype = DType::kI64;
};

// How the codes of one tensor are to be read.
struct AffineCodes {
  DType dtype = DType::kQI8;  // QI8, QU8, QI32, QU4X2 or QU2X4
  // Codes in a byte (QU4X2: 2, QU2X4: 4), otherwise 1. They are packed one
  // after another over the whole tensor, the first one in the lowest bits.
  uint64_t per_item = 1;

  // One pair for the whole tensor. torch computes with the float32 next to the
  // scale.
  double scale = 1;
  int64_t zero_point = 0;
  // If not null, replaces the pair.
  std::shared_ptr<const ChannelParams> channels;

  // Equal for equal parameters, as far as can be told without reading.
  std::string Identity() const;
};

// A tensor that was placed to be read as parameters.
struct PlacedParams {
  PlacedTensor placed;
  TensorInfo info;
};

// Parameters along `axis` of a tensor of `shape`. DataLoss, naming neither file
// nor tensor, if there is no such axis, or there are more or fewer parameters
// than it has indices, or they are no numbers.
absl::StatusOr<std::shared_ptr<const ChannelParams>> MakeChannelParams(
    const Shape& shape, int64_t axis, PlacedParams scales,
    PlacedParams zero_points);

// How many parameters are read at a time.
inline constexpr uint64_t kParamsInPiece = 4096;

// What parameters have in common.
struct ParamSummary {
  // Every scale of a channel is a float32 number.
  bool has_float32_scales = true;
  // The zero point, if all have the same one.
  std::optional<float> zero_point;
};

// Reads all parameters of `codes`, whose type of elements has been set, in
// pieces of kParamsInPiece. DataLoss if a zero point is no code; errors of the
// source are passed on.
absl::StatusOr<ParamSummary> SummarizeParams(const AffineCodes& codes);

// Makes `placed`, which has been placed as the codes of a tensor of `shape`
// (counted in codes), one that reads as F32, and changes `info` accordingly.
// `codes` needs its parameters only. DataLoss, naming neither file nor tensor,
// if the elements are no codes, the zero point is none, or a size overflows.
absl::Status ReadAsFloats(AffineCodes codes, const Shape& shape,
                          PlacedTensor* placed, TensorInfo* info);

// Decodes elements [first, first + count) into the float32 values of `dst`, in
// place: the items that hold their codes, with little-endian bytes, are the
// last of `dst`. DataLoss if parameters make no sense; errors of the source are
// passed on.
absl::Status DecodeAffine(const AffineCodes& codes, uint64_t first,
                          uint64_t count, absl::Span<uint8_t> dst);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_AFFINE_CODES_H_
