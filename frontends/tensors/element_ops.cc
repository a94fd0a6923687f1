#include "frontends/tensors/element_ops.h"

#include <algorithm>
#include <cstddef>

namespace monoquant {
namespace {

// Bytes of a number: complex elements are two.
size_t NumberSize(DType dtype) {
  const DTypeInfo& info = GetDTypeInfo(dtype);
  const int bits = info.kind == DTypeKind::kComplex ? info.bits / 2 : info.bits;
  return static_cast<size_t>(bits / 8);
}

}  // namespace

void SwapByteOrder(DType dtype, absl::Span<uint8_t> elements) {
  const size_t size = NumberSize(dtype);
  if (size < 2) return;
  for (size_t i = 0; i + size <= elements.size(); i += size) {
    std::reverse(elements.data() + i, elements.data() + i + size);
  }
}

bool CanNegate(DType dtype) {
  switch (GetDTypeInfo(dtype).kind) {
    case DTypeKind::kInteger:
    case DTypeKind::kFloat:
    case DTypeKind::kComplex:
      return true;
    default:
      return false;
  }
}

void Negate(DType dtype, absl::Span<uint8_t> elements) {
  const size_t size = NumberSize(dtype);
  if (GetDTypeInfo(dtype).kind != DTypeKind::kInteger) {
    // The sign is a bit of its own, also of zeros, infinities and NaNs.
    for (size_t i = size - 1; i < elements.size(); i += size) {
      elements[i] ^= 0x80;
    }
    return;
  }
  // Two's complement: all bits flipped, plus one.
  for (size_t i = 0; i + size <= elements.size(); i += size) {
    unsigned carry = 1;
    for (size_t k = i; k < i + size; ++k) {
      carry += static_cast<uint8_t>(~elements[k]);
      elements[k] = static_cast<uint8_t>(carry);
      carry >>= 8;
    }
  }
}

void Conjugate(DType dtype, absl::Span<uint8_t> elements) {
  const size_t size = NumberSize(dtype);
  for (size_t i = 2 * size - 1; i < elements.size(); i += 2 * size) {
    elements[i] ^= 0x80;
  }
}

}  // namespace monoquant
