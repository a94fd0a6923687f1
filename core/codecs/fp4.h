// FP4 as bitsandbytes has it: two levels a byte.
//
//   byte k     bits 0-3: level 2k      bits 4-7: level 2k + 1
//
//   level bit  3     sign
//   level bits 2..0  0 to 7: 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4
//
// A level is a place in a table (core/kernels/codebooks.h). What looks like a
// shuffle are floats with two bits of exponent and one of mantissa that have
// been divided by the largest of them, 12, with exponents in the order that the
// program gives them. 8 is a second 0.
//
// A scale is the largest magnitude of its values. Of numbers between 1/192 and
// 1/6 there is none, so nf4 is nearer nearly always; this is for programs that
// read nothing else. It is not fp4_e2m1, whose numbers are others.

#ifndef MONOQUANT_CORE_CODECS_FP4_H_
#define MONOQUANT_CORE_CODECS_FP4_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kFp4Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_FP4_H_
