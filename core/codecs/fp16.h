// FP16: IEEE binary16, rounded to nearest even.
//
//   bytes 2i, 2i + 1     value i, little-endian
//
// 11 significant bits, largest value 65504. Plain casts, no scale: the bytes of
// a float16 tensor in every framework.

#ifndef MONOQUANT_CORE_CODECS_FP16_H_
#define MONOQUANT_CORE_CODECS_FP16_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kFp16Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_FP16_H_
