// torch's quantized tensors in files that cannot hold them.

#ifndef MONOQUANT_EXPORTERS_PLAIN_CODES_H_
#define MONOQUANT_EXPORTERS_PLAIN_CODES_H_

#include "ir/dtype.h"

namespace monoquant {

// A quantized type of torch (QI8, QU8, QI32, QU4x2, QU2x4) as the integer type
// that its codes have; any other type as it is.
//
// A quantized tensor of torch is codes with a quantizer, which no checkpoint
// reader of ours gives: what is read is the bare codes. Those are written, byte
// for byte, under the name that says what they are. An .mqir file keeps the
// original type.
inline DType PlainCodes(DType dtype) {
  switch (dtype) {
    case DType::kQI8:
      return DType::kI8;
    case DType::kQI32:
      return DType::kI32;
    case DType::kQU8:
    case DType::kQU4x2:  // two and four codes a byte; shapes count bytes
    case DType::kQU2x4:
      return DType::kU8;
    default:
      return dtype;
  }
}

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PLAIN_CODES_H_
