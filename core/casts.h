// Between float and the bytes of the four float types that can be quantized.
//
// All arithmetic of the core is done in float, so everything that is read goes
// through ToFloat and every float that is written through FromFloat. Both are
// pure integer code or single IEEE conversions: the same bits on every machine.

#ifndef MONOQUANT_CORE_CASTS_H_
#define MONOQUANT_CORE_CASTS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "ir/dtype.h"

namespace monoquant {

// IEEE binary16. Exact; a NaN becomes quiet and keeps its payload.
float HalfToFloat(uint16_t bits);
// Rounded to nearest even; beyond 65504 (65520 and up) to infinity. A NaN
// becomes a quiet NaN with the same sign and the upper bits of the payload.
uint16_t FloatToHalf(float value);

// bfloat16: the upper half of a float. The same rules.
float BFloat16ToFloat(uint16_t bits);
uint16_t FloatToBFloat16(float value);

// Bytes of one element of any type that the functions below take.
inline uint64_t FloatBytes(DType dtype) {
  return static_cast<uint64_t>(GetDTypeInfo(dtype).bits) / 8;
}

// Converts `dst.size()` little-endian elements at `src`, in any alignment.
// `dtype` is F16, BF16, F32 or F64, or what only scales can be: F8_E4M3 or
// F8_E8M0, which some programs call U8. F64 values are rounded to nearest even;
// those beyond the range of float become infinite. Tells whether all results
// are finite.
bool ToFloat(DType dtype, const uint8_t* src, absl::Span<float> dst);

// The inverse: writes `src.size()` elements to `dst`. Those of F8_E8M0 must be
// numbers that it has; F8_E4M3 takes the nearest number.
void FromFloat(DType dtype, absl::Span<const float> src, uint8_t* dst);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CASTS_H_
