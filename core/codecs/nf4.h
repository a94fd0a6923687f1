// NF4: two levels a byte.
//
//   byte k     bits 0-3: level 2k      bits 4-7: level 2k + 1
//
// A level is a place in a table of 16 numbers from -1 to 1, in order, of which
// place 7 is 0 (core/kernels/codebooks.h). They are quantiles of a normal
// distribution, so that of weights with such a distribution each place gets as
// many: most of them where most weights are, near 0.
//
// A scale is the largest magnitude of its values, so nothing is clipped. Table
// and choice are those of bitsandbytes, the only program that has the format;
// its files have the upper half of a byte first, where all formats of monoquant
// have the lower one.

#ifndef MONOQUANT_CORE_CODECS_NF4_H_
#define MONOQUANT_CORE_CODECS_NF4_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kNf4Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_NF4_H_
