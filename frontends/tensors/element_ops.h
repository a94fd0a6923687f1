// Changes of tensor values in place that need no arithmetic: byte order, sign.

#ifndef MONOQUANT_FRONTENDS_TENSORS_ELEMENT_OPS_H_
#define MONOQUANT_FRONTENDS_TENSORS_ELEMENT_OPS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "ir/dtype.h"

namespace monoquant {

// Turns big-endian elements of `dtype` into little-endian ones.
void SwapByteOrder(DType dtype, absl::Span<uint8_t> elements);

// True for the types that torch can hold in lazily negated views: floats,
// complex numbers and integers.
bool CanNegate(DType dtype);

// Negates every little-endian element, as torch.neg does.
void Negate(DType dtype, absl::Span<uint8_t> elements);

// Negates every imaginary part; `dtype` is complex.
void Conjugate(DType dtype, absl::Span<uint8_t> elements);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_ELEMENT_OPS_H_
