// Zero points as they are stored one by one, in the type of their tensor.

#ifndef MONOQUANT_CORE_ZERO_POINTS_H_
#define MONOQUANT_CORE_ZERO_POINTS_H_

#include <cstddef>
#include <cstdint>

#include "ir/dtype.h"

namespace monoquant {

// Bytes of one that is stored as I8, U8, I64 or F32, which are all the types
// that storages have for them.
size_t ZeroPointBytes(DType dtype);

// Writes ZeroPointBytes(dtype) bytes, little-endian. F32 holds every zero point
// exactly.
void StoreZeroPoint(DType dtype, int32_t zero_point, uint8_t* dst);

// Reads one of I64 or F32, which may be any number: that of a file. Exact up to
// 2^53.
double LoadWideZeroPoint(DType dtype, const uint8_t* src);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_ZERO_POINTS_H_
