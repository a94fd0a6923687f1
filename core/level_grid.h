// The levels of a scheme: which numbers they are, where they lie, and what that
// follows from.

#ifndef MONOQUANT_CORE_LEVEL_GRID_H_
#define MONOQUANT_CORE_LEVEL_GRID_H_

#include <cstdint>

#include "ir/dtype.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// A level q stands for the value (q - zero_point) * scale, but one of kLlmInt8
// for q * scale / 127. Of schemes with a global scale, `scale` is the quotient
// of the stored one and of that.
struct QParams {
  float scale = 1;
  int32_t zero_point = 0;

  friend bool operator==(const QParams& a, const QParams& b) {
    return a.scale == b.scale && a.zero_point == b.zero_point;
  }
};

// Smallest and largest value so far; 0 is always among them.
struct ValueRange {
  float min = 0;
  float max = 0;
};

// Which number a byte is that holds a level.
enum class LevelKind : uint8_t {
  kSigned,    // two's complement
  kUnsigned,  // plain
  // Floats of 8 and 4 bits: core/kernels/small_floats.h.
  kE4M3,
  kE5M2,
  kE2M1,
  // Places in a table of bitsandbytes: core/kernels/codebooks.h.
  kNf4,
  kFp4,
  // Two's complement, of which a scale is worth 127: core/kernels/llm_int8.h.
  kLlmInt8,
};

// Whether scales are the largest magnitude itself, which may be 0.
inline bool IsOfBitsandbytes(LevelKind kind) {
  return kind == LevelKind::kNf4 || kind == LevelKind::kFp4 ||
         kind == LevelKind::kLlmInt8;
}

// The levels of a scheme and the rules for placing them.
struct LevelGrid {
  LevelKind kind = LevelKind::kSigned;
  // The smallest and the largest number that a level is.
  int32_t qmin = 0;
  int32_t qmax = 0;
  bool symmetric = true;
  Convention convention = Convention::kTorch;
  // torch's quantize_per_tensor adds the zero point in the same rounding as it
  // multiplies, its quantize_per_channel in one of its own.
  bool fused_add = false;
  // What scales are rounded to: QuantScheme::scale_dtype.
  DType scale_dtype = DType::kF32;
  // Of scales of F8_E4M3: what these are to be divided by (GlobalScaleOf).
  float global_scale = 1;
  // Whether the lowest level is none that a zero point can have.
  bool zero_points_above_lowest = false;

  // The level of 0 in a symmetric scheme: 0, or the upper middle of an unsigned
  // range (128 of 0 .. 255).
  int32_t symmetric_zero() const { return qmin + (qmax - qmin + 1) / 2; }
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_LEVEL_GRID_H_
