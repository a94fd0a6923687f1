// Shapes and the checked arithmetic for every number that a file can state.

#ifndef MONOQUANT_IR_SHAPE_H_
#define MONOQUANT_IR_SHAPE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/dtype.h"

namespace monoquant {

// Dimensions, outermost first; empty for a scalar. Row-major throughout.
using Shape = std::vector<int64_t>;

// Tensors with more dimensions are refused (torch's own limit is 64).
inline constexpr int kMaxDims = 64;

// Overflow-checked arithmetic: false, and `*out` unspecified, on overflow.
[[nodiscard]] inline bool CheckedAdd(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_add_overflow(a, b, out);
}
[[nodiscard]] inline bool CheckedMul(uint64_t a, uint64_t b, uint64_t* out) {
  return !__builtin_mul_overflow(a, b, out);
}

// The number of elements: the product of the dimensions, 1 for a scalar.
// InvalidArgument if a dimension is negative, there are more than kMaxDims or
// the product of the non-zero dimensions does not fit an int64_t.
absl::StatusOr<uint64_t> NumElements(absl::Span<const int64_t> shape);

// The bytes of a contiguous tensor. Besides NumElements' errors: the number of
// bits overflows, or is no whole number of bytes (sub-byte types).
absl::StatusOr<uint64_t> ByteSize(DType dtype, absl::Span<const int64_t> shape);

// "[3, 224, 224]"; "[]" for a scalar.
std::string ShapeToString(absl::Span<const int64_t> shape);

// Rounds up to a multiple of `alignment` (a power of two); false on overflow.
[[nodiscard]] inline bool CheckedAlignUp(uint64_t value, uint64_t alignment,
                                         uint64_t* out) {
  if (!CheckedAdd(value, alignment - 1, out)) return false;
  *out &= ~(alignment - 1);
  return true;
}

}  // namespace monoquant

#endif  // MONOQUANT_IR_SHAPE_H_
