// INT4 and UINT4: two levels a byte.
//
//   byte k     bits 0-3: level 2k      bits 4-7: level 2k + 1
//
// A nibble is two's complement (int4) or plain (uint4). A run of odd length
// leaves the upper nibble of its last byte 0. Tensors are packed row by row, so
// every row starts at a byte (core/code_rows.h): rows can be read on their own.
// The lower nibble comes first, as in compressed-tensors; bitsandbytes has it
// the other way around.

#ifndef MONOQUANT_CORE_CODECS_INT4_H_
#define MONOQUANT_CORE_CODECS_INT4_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kInt4Codec;
extern const Codec kUInt4Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_INT4_H_
