// Scale and zero point: what they follow from and what they do.
//
// docs/quantization.md has the formulas with their reasons. Everything is
// computed in float32, in the order stated there, so that the result is equal
// bit for bit to torch's observers or to compressed-tensors.

#ifndef MONOQUANT_CORE_QPARAMS_H_
#define MONOQUANT_CORE_QPARAMS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/codecs/codec.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// A level q stands for the value (q - zero_point) * scale.
struct QParams {
  float scale = 1;
  int32_t zero_point = 0;

  friend bool operator==(const QParams& a, const QParams& b) {
    return a.scale == b.scale && a.zero_point == b.zero_point;
  }
};

// The levels of a scheme and the rules for placing them.
struct IntegerGrid {
  int32_t qmin = 0;
  int32_t qmax = 0;
  bool symmetric = true;
  Convention convention = Convention::kTorch;
  // torch's quantize_per_tensor adds the zero point in the same rounding as it
  // multiplies, its quantize_per_channel in one of its own.
  bool fused_add = false;

  // The level of 0 in a symmetric scheme: 0, or the upper middle of an unsigned
  // range (128 of 0 .. 255).
  int32_t symmetric_zero() const { return qmin + (qmax - qmin + 1) / 2; }
};

// The grid of an integer scheme; `codec` is that of its format.
IntegerGrid GridOf(const Codec& codec, const QuantScheme& scheme);

// The parameters that cover min .. max and 0. Both must be finite. The scale is
// positive and finite whatever they are.
QParams QParamsFromRange(float min, float max, const IntegerGrid& grid);

// values[i] = (levels[i] - zero_point) * scale, with the parameters
// params[i / run]. All spans have the right size: params one for each run.
void Dequantize(absl::Span<const QParams> params, size_t run,
                absl::Span<const float> levels, absl::Span<float> values);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_QPARAMS_H_
