// FP8: one level a byte.
//
// E4M3
//
//   bit  7     sign
//   bits 6..3  exponent e, bias 7
//   bits 2..0  mantissa m
//
//   e > 0      (1 + m / 8) * 2^(e - 7)    up to 448 (0x7e)
//   e = 0      m * 2^-9                   subnormal, and 0
//   0x7f 0xff  NaN; there is no infinity
//
// torch.float8_e4m3fn, F8_E4M3 of safetensors. What the format leaves out, an
// infinity and all but one NaN, it gains in range: without it 240 would be its
// largest number.
//
// A scale puts the largest magnitude of its values on 448. So every value keeps
// its three bits of mantissa down to a 28,672nd of the largest one (2^-6 of
// 448), where int8 has steps of one size.
//
// E5M2
//
//   bit  7     sign
//   bits 6..2  exponent e, bias 15
//   bits 1..0  mantissa m
//
//   e > 0      (1 + m / 4) * 2^(e - 15)   up to 57344 (0x7b)
//   e = 0      m * 2^-16                  subnormal, and 0
//   0x7c       infinity; above it NaN
//
// torch.float8_e5m2, F8_E5M2 of safetensors: the upper byte of a half. Where
// E4M3 has one bit more, this has the range for values that differ by more than
// that.

#ifndef MONOQUANT_CORE_CODECS_FP8_H_
#define MONOQUANT_CORE_CODECS_FP8_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kFp8E4M3Codec;
extern const Codec kFp8E5M2Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_FP8_H_
