// INT8 and UINT8: one level a byte.
//
//   byte i     level i, two's complement (int8) or plain (uint8)
//
// The bytes of an int8 or uint8 tensor in every framework.

#ifndef MONOQUANT_CORE_CODECS_INT8_H_
#define MONOQUANT_CORE_CODECS_INT8_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kInt8Codec;
extern const Codec kUInt8Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_INT8_H_
