#include "ir/shape.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<uint64_t> NumElements(absl::Span<const int64_t> shape) {
  if (shape.size() > static_cast<size_t>(kMaxDims)) {
    return InvalidArgumentError("shape has ", shape.size(),
                                " dimensions, at most ", kMaxDims,
                                " are supported");
  }
  // The product is checked without the zeros: a shape whose row length
  // overflows is refused even if it has no rows.
  uint64_t product = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0) {
      return InvalidArgumentError("shape ", ShapeToString(shape),
                                  " has a negative dimension");
    }
    if (dim == 0) {
      empty = true;
      continue;
    }
    if (!CheckedMul(product, static_cast<uint64_t>(dim), &product) ||
        product > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return InvalidArgumentError("shape ", ShapeToString(shape),
                                  " has more than 2^63-1 elements");
    }
  }
  return empty ? 0 : product;
}

absl::StatusOr<uint64_t> ByteSize(DType dtype,
                                  absl::Span<const int64_t> shape) {
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(shape));
  const DTypeInfo& info = GetDTypeInfo(dtype);
  uint64_t bits;
  if (!CheckedMul(elements, static_cast<uint64_t>(info.bits), &bits)) {
    return InvalidArgumentError("a tensor of ", info.name, " ",
                                ShapeToString(shape),
                                " has more than 2^64 bits");
  }
  if (bits % 8 != 0) {
    return InvalidArgumentError("a tensor of ", info.name, " ",
                                ShapeToString(shape), " has ", bits,
                                " bits, which is no whole number of bytes");
  }
  return bits / 8;
}

std::string ShapeToString(absl::Span<const int64_t> shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

}  // namespace monoquant
