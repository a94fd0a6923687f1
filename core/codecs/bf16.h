// BF16: bfloat16, rounded to nearest even.
//
//   bytes 2i, 2i + 1     value i, little-endian
//
// 8 significant bits and the range of float32: the upper half of one. Plain
// casts, no scale: the bytes of a bfloat16 tensor in every framework.

#ifndef MONOQUANT_CORE_CODECS_BF16_H_
#define MONOQUANT_CORE_CODECS_BF16_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kBf16Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_BF16_H_
