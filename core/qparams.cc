#include "core/qparams.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/kernels/element.h"
#include "core/kernels/small_floats.h"

namespace monoquant {
namespace {

// float32's machine epsilon: the smallest scale under the torch convention, and
// the one that stands in for a scale of 0 under that of compressed-tensors.
constexpr float kEpsilon = 0x1p-23f;

// max - min may overflow: for weights around +-3e38, which are finite. torch
// and compressed-tensors get an infinite scale then, and codes that mean
// nothing; here that one case is computed in double.
float AsymmetricScale(float min, float max, float levels) {
  const float range = max - min;
  if (std::isfinite(range)) return range / levels;
  const double wide = static_cast<double>(max) - static_cast<double>(min);
  return static_cast<float>(wide / static_cast<double>(levels));
}

// The nearest scale that can be stored, positive and finite like `scale`. Zero
// points and codes follow from it, so that nothing is lost by storing it.
float StoredScale(float scale, DType dtype) {
  constexpr uint16_t kLargestHalf = 0x7bff;
  constexpr uint16_t kLargestBFloat16 = 0x7f7f;
  constexpr uint16_t kSmallest = 1;  // of both
  if (dtype == DType::kF16) {
    const uint16_t half = element::ToHalf(scale);
    return element::FromHalf(std::clamp(half, kSmallest, kLargestHalf));
  }
  if (dtype == DType::kBF16) {
    const uint16_t bits = element::ToBFloat16(scale);
    return element::FromBFloat16(std::clamp(bits, kSmallest, kLargestBFloat16));
  }
  return scale;
}

// What is to be taken off the exponent of a largest magnitude: that of the
// largest number of a format.
uint32_t LargestExponent(LevelKind kind) {
  switch (kind) {
    case LevelKind::kE2M1:
      return 2;
    case LevelKind::kE5M2:
      return 15;
    default:  // E4M3, as no other has such scales
      return 8;
  }
}

// A scale of the MX formats: a power of two, from the exponent of the largest
// magnitude, which counts as the next one from a mantissa of 1.75 on.
float PowerOfTwoScale(float magnitude, LevelKind kind) {
  constexpr uint32_t kQuarter = 1u << 21;  // of a mantissa's 1
  // Without a sign, as that of a 0 may be either.
  const uint32_t bits = element::BitCast<uint32_t>(magnitude) & 0x7fffffffu;
  const uint32_t exponent = (bits + kQuarter) >> 23;
  const uint32_t largest = LargestExponent(kind);
  return element::FromE8M0(exponent > largest ? exponent - largest : 0);
}

// A scale of NVFP4, relative to that of the tensor.
float ScaleBelow(float scale, float global_scale) {
  // What compressed-tensors has in place of a 0: the step of numbers around 1.
  constexpr float kStep = 0.125f;
  const float stored =
      element::E4M3::FromCode(element::E4M3::ToCode(global_scale * scale));
  return (stored == 0 ? kStep : stored) / global_scale;
}

// The smallest level that a zero point can have.
int32_t LowestZero(const LevelGrid& grid) {
  return grid.zero_points_above_lowest ? grid.qmin + 1 : grid.qmin;
}

// A level for a zero point. Both arguments may be infinite, neither is NaN.
int32_t ClampToGrid(float level, const LevelGrid& grid) {
  const float qmin = static_cast<float>(LowestZero(grid));
  const float qmax = static_cast<float>(grid.qmax);
  return static_cast<int32_t>(std::min(std::max(level, qmin), qmax));
}

QParams Torch(float min, float max, const LevelGrid& grid) {
  const float levels = static_cast<float>(grid.qmax - grid.qmin);
  if (grid.symmetric) {
    const float scale = std::max(-min, max) / (levels / 2);
    return {StoredScale(std::max(scale, kEpsilon), grid.scale_dtype),
            grid.symmetric_zero()};
  }
  const float scale = StoredScale(
      std::max(AsymmetricScale(min, max, levels), kEpsilon), grid.scale_dtype);
  const float zero =
      static_cast<float>(grid.qmin) - std::nearbyint(min / scale);
  return {scale, ClampToGrid(zero, grid)};
}

// The largest magnitude itself, 0 included.
QParams Bitsandbytes(float min, float max, const LevelGrid& grid) {
  const float scale = std::max(-min, max);
  return {scale == 0 ? 0.0f : StoredScale(scale, grid.scale_dtype), 0};
}

QParams CompressedTensors(float min, float max, const LevelGrid& grid) {
  if (grid.scale_dtype == DType::kF8E8M0) {
    return {PowerOfTwoScale(std::max(-min, max), grid.kind), 0};
  }
  const float levels = static_cast<float>(grid.qmax - grid.qmin);
  if (grid.scale_dtype == DType::kF8E4M3) {
    const float scale = std::max(-min, max) / (levels / 2);
    return {ScaleBelow(scale, grid.global_scale), 0};
  }
  if (grid.symmetric) {
    const float scale = std::max(-min, max) / (levels / 2);
    return {StoredScale(scale == 0 ? kEpsilon : scale, grid.scale_dtype),
            grid.symmetric_zero()};
  }
  const float exact = AsymmetricScale(min, max, levels);
  if (exact == 0) {
    // There the zero point is computed before the scale is replaced: 0/0 for a
    // minimum of 0, which becomes 0, and minus infinity for any other.
    return {StoredScale(kEpsilon, grid.scale_dtype),
            min < 0 ? grid.qmax : std::max(0, LowestZero(grid))};
  }
  const float scale = StoredScale(exact, grid.scale_dtype);
  const float zero = static_cast<float>(grid.qmin) - min / scale;
  return {scale, ClampToGrid(std::nearbyint(zero), grid)};
}

}  // namespace

LevelGrid GridOf(const Codec& codec, const QuantScheme& scheme) {
  if (!HasZeroPoints(scheme.format)) {
    // bitsandbytes multiplies with a reciprocal, as torch does.
    const Convention convention = IsOfBitsandbytes(scheme.format)
                                      ? Convention::kTorch
                                      : Convention::kCompressedTensors;
    return {codec.kind,          codec.qmin,        codec.qmax,
            /*symmetric=*/true,  convention,
            /*fused_add=*/false, scheme.scale_dtype};
  }
  const bool fused_add = scheme.convention == Convention::kTorch &&
                         scheme.granularity == Granularity::kTensor;
  return {codec.kind,        codec.qmin, codec.qmax,        scheme.symmetric,
          scheme.convention, fused_add,  scheme.scale_dtype};
}

float GlobalScaleOf(float magnitude) {
  constexpr float kLargestProduct = 448 * 6;
  // torch divides a number by a tensor so.
  const float reciprocal =
      1 / std::max(magnitude, std::numeric_limits<float>::min());
  const float scale = reciprocal * kLargestProduct;
  return std::isfinite(scale) ? scale : 1;
}

void ScalesBelow(float global_scale, absl::Span<const QParams> params,
                 absl::Span<float> scales) {
  // The quotient was rounded, and so is this: to much less than what lies
  // between two numbers of F8_E4M3.
  for (size_t i = 0; i < params.size(); ++i) {
    scales[i] = element::E4M3::FromCode(
        element::E4M3::ToCode(params[i].scale * global_scale));
  }
}

QParams QParamsFromRange(float min, float max, const LevelGrid& grid) {
  // 0 is always a level: zero weights, padding above all, stay exactly zero.
  min = std::min(min, 0.0f);
  max = std::max(max, 0.0f);
  if (grid.zero_points_above_lowest && !grid.symmetric) {
    // Room for one level below 0, so that the largest value still has one.
    min = std::min(min, -max / static_cast<float>(grid.qmax - grid.qmin - 1));
  }
  if (IsOfBitsandbytes(grid.kind)) return Bitsandbytes(min, max, grid);
  return grid.convention == Convention::kCompressedTensors
             ? CompressedTensors(min, max, grid)
             : Torch(min, max, grid);
}

void QParamsFromRanges(absl::Span<const ValueRange> ranges,
                       const LevelGrid& grid, absl::Span<QParams> params) {
  for (size_t i = 0; i < params.size(); ++i) {
    params[i] = QParamsFromRange(ranges[i].min, ranges[i].max, grid);
  }
}

}  // namespace monoquant
