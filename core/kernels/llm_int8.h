// The levels of LLM.int8: whole numbers from -127 to 127, of which 127 is worth
// a scale.
//
// Products, their order and the constant are those of bitsandbytes 0.50.2, in
// int8_vectorwise_quant and int8_vectorwise_dequant. It divides 127 by a scale
// as torch does, which multiplies the reciprocal.

#ifndef MONOQUANT_CORE_KERNELS_LLM_INT8_H_
#define MONOQUANT_CORE_KERNELS_LLM_INT8_H_

#include <limits>

#include "core/kernels/element.h"
#include "core/level_grid.h"

namespace monoquant::element {

// What a level is worth in scales: number * scale * this.
inline constexpr float kLlmInt8Step = 7.874015718698502e-3f;

// What values are multiplied with. For a scale that is so small that this would
// be infinite, 0: there all levels are 0.
inline float LlmInt8Multiplier(float scale) {
  const float multiplier = 1.0f / scale * 127.0f;
  return multiplier <= std::numeric_limits<float>::max() ? multiplier : 0.0f;
}

// That of a kind of levels.
inline float Multiplier(LevelKind kind, float scale) {
  return kind == LevelKind::kLlmInt8 ? LlmInt8Multiplier(scale)
                                     : Reciprocal(scale);
}

}  // namespace monoquant::element

#endif  // MONOQUANT_CORE_KERNELS_LLM_INT8_H_
