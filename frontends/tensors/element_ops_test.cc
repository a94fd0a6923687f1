// Guards: byte order and sign of every kind of element.

#include "frontends/tensors/element_ops.h"

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes Swapped(DType dtype, Bytes bytes) {
  SwapByteOrder(dtype, absl::MakeSpan(bytes));
  return bytes;
}

TEST(ElementOpsTest, SwapsNumbersNotElements) {
  const Bytes in = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  EXPECT_EQ(Swapped(DType::kU8, in), in);
  EXPECT_EQ(Swapped(DType::kF8E4M3, in), in);
  EXPECT_EQ(Swapped(DType::kF4, in), in);
  EXPECT_EQ(Swapped(DType::kBF16, in),
            (Bytes{2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15}));
  EXPECT_EQ(Swapped(DType::kF32, in),
            (Bytes{4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13}));
  EXPECT_EQ(Swapped(DType::kI64, in),
            (Bytes{8, 7, 6, 5, 4, 3, 2, 1, 16, 15, 14, 13, 12, 11, 10, 9}));
  // Complex numbers keep their order of real and imaginary part.
  EXPECT_EQ(Swapped(DType::kC64, in), Swapped(DType::kF32, in));
  EXPECT_EQ(Swapped(DType::kC32, in), Swapped(DType::kF16, in));
  EXPECT_EQ(Swapped(DType::kC128, in), Swapped(DType::kF64, in));
}

template <typename T>
std::vector<T> Negated(DType dtype, std::vector<T> values) {
  Negate(dtype, absl::MakeSpan(reinterpret_cast<uint8_t*>(values.data()),
                               values.size() * sizeof(T)));
  return values;
}

TEST(ElementOpsTest, NegatesAsTorchDoes) {
  EXPECT_EQ(Negated<int16_t>(DType::kI16, {0, 1, -1, 256, -32768, 32767}),
            (std::vector<int16_t>{0, -1, 1, -256, -32768, -32767}));
  EXPECT_EQ(Negated<uint8_t>(DType::kU8, {0, 1, 128, 255}),
            (std::vector<uint8_t>{0, 255, 128, 1}));
  EXPECT_EQ(Negated<int64_t>(DType::kI64, {0, 1, -4294967296}),
            (std::vector<int64_t>{0, -1, 4294967296}));
  EXPECT_EQ(Negated<float>(DType::kF32, {1.5f, -2.0f}),
            (std::vector<float>{-1.5f, 2.0f}));
  EXPECT_EQ(Negated<float>(DType::kC64, {1.5f, -2.0f}),
            (std::vector<float>{-1.5f, 2.0f}));
  // The sign of a zero and of a NaN too: bits, not values.
  EXPECT_EQ(Negated<uint16_t>(DType::kF16, {0x0000, 0xFE00}),
            (std::vector<uint16_t>{0x8000, 0x7E00}));
}

TEST(ElementOpsTest, ConjugatesImaginaryParts) {
  std::vector<double> values = {1, 2, 3, -4};
  Conjugate(DType::kC128,
            absl::MakeSpan(reinterpret_cast<uint8_t*>(values.data()), 32));
  EXPECT_EQ(values, (std::vector<double>{1, -2, 3, 4}));
}

TEST(ElementOpsTest, OnlyNumbersCanBeNegated) {
  for (const DTypeInfo& row : AllDTypes()) {
    const bool expected = row.kind == DTypeKind::kInteger ||
                          row.kind == DTypeKind::kFloat ||
                          row.kind == DTypeKind::kComplex;
    EXPECT_EQ(CanNegate(row.dtype), expected) << row.name;
  }
}

}  // namespace
}  // namespace monoquant
