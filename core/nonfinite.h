// NaN and infinite values: finding, removing and naming them.

#ifndef MONOQUANT_CORE_NONFINITE_H_
#define MONOQUANT_CORE_NONFINITE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/types/span.h"
#include "ir/dtype.h"

namespace monoquant {

// How many of `values` are NaN or infinite.
size_t CountNonfinite(absl::Span<const float> values);

// The index of the first of them; values.size() if there is none.
size_t FirstNonfinite(absl::Span<const float> values);

// Replaces them by 0 and returns how many there were.
size_t ZeroNonfinite(absl::Span<float> values);

// "NaN at index [3, 17]", "-infinity at index [0]", "1e+300 at index [2],
// beyond the range of float32": the value of type `dtype` (F16, BF16, F32, F64)
// at `bytes`, which is element `element` of a tensor.
std::string DescribeElement(DType dtype, const uint8_t* bytes, uint64_t element,
                            absl::Span<const int64_t> shape);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_NONFINITE_H_
