// LLM.int8: one level a byte.
//
//   byte i     level i, two's complement, from -127 to 127
//
// A scale is the largest magnitude of a row, and 127 stands for it, so nothing
// is clipped and -128 is not used. Scales and levels are those of bitsandbytes,
// the only program that has the format.

#ifndef MONOQUANT_CORE_CODECS_LLM_INT8_H_
#define MONOQUANT_CORE_CODECS_LLM_INT8_H_

#include "core/codecs/codec.h"

namespace monoquant {

extern const Codec kLlmInt8Codec;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_LLM_INT8_H_
