// Scale and zero point: what they follow from and what they do.
//
// docs/quantization.md has the formulas with their reasons. Everything is
// computed in float32, in the order stated there, so that the result is equal
// bit for bit to torch's observers or to compressed-tensors.

#ifndef MONOQUANT_CORE_QPARAMS_H_
#define MONOQUANT_CORE_QPARAMS_H_

#include "absl/types/span.h"
#include "core/codecs/codec.h"
#include "core/level_grid.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// The grid of a scheme with scales; `codec` is that of its format.
LevelGrid GridOf(const Codec& codec, const QuantScheme& scheme);

// The global scale of a tensor (HasGlobalScale), or of several that share one,
// with values to this magnitude, which is finite. As generate_gparam of
// compressed-tensors has it: the scale of a group with the largest magnitude is
// 448 then, the largest number of F8_E4M3.
float GlobalScaleOf(float magnitude);

// The scales that are stored in place of those of parameters, as numbers of
// F8_E4M3: scales[i] of params[i].
void ScalesBelow(float global_scale, absl::Span<const QParams> params,
                 absl::Span<float> scales);

// The parameters that cover min .. max and 0. Both must be finite. The scale is
// positive, finite and of the grid's type whatever they are; that of a format
// of bitsandbytes is 0 where both are. (With scales of E8M0 the range may reach
// a little beyond the largest level.)
QParams QParamsFromRange(float min, float max, const LevelGrid& grid);
// Those of many ranges, params[i] of ranges[i]; `ranges` may be longer.
void QParamsFromRanges(absl::Span<const ValueRange> ranges,
                       const LevelGrid& grid, absl::Span<QParams> params);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_QPARAMS_H_
