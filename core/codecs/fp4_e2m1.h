// FP4 E2M1: two levels a byte.
//
//   byte k     bits 0-3: level 2k      bits 4-7: level 2k + 1
//
//   level bit  3     sign
//   level bits 2..1  exponent e, bias 1
//   level bit  0     mantissa m
//
//   e > 0      (1 + m / 2) * 2^(e - 1)    1, 1.5, 2, 3, 4, 6
//   e = 0      m / 2                      0, 0.5
//
// The element of MXFP4 and NVFP4 (OCP Microscaling Formats 1.0); there is
// neither an infinity nor NaN. The lower nibble comes first, as in the files of
// compressed-tensors.
//
// With a scale of any float the largest magnitude is on 6. With scales of E8M0,
// powers of two, it is between 3.5 and 7, and what is above 6 becomes 6: those
// of the MX formats, in groups of 32.

#ifndef MONOQUANT_CORE_CODECS_FP4_E2M1_H_
#define MONOQUANT_CORE_CODECS_FP4_E2M1_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kFp4E2M1Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_FP4_E2M1_H_
