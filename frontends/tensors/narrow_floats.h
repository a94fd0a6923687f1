// Floats of less than 32 bits as float32, which holds them all exactly.

#ifndef MONOQUANT_FRONTENDS_TENSORS_NARROW_FLOATS_H_
#define MONOQUANT_FRONTENDS_TENSORS_NARROW_FLOATS_H_

#include <array>
#include <cstdint>

#include "ir/dtype.h"

namespace monoquant {

// The values of all 256 codes of an 8-bit float type (F8_E4M3, F8_E5M2, their
// FNUZ variants, F8_E8M0); nullptr for any other type. A NaN keeps its sign and
// the upper bits of its payload, and is quiet.
const std::array<float, 256>* Float8Values(DType dtype);

// True for the types that ReadFloat knows: F8_*, F16, BF16, F32 and F64.
bool IsReadableFloat(DType dtype);

// The little-endian float at `bytes`.
double ReadFloat(DType dtype, const uint8_t* bytes);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_NARROW_FLOATS_H_
