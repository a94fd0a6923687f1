// Guards: the exact value of every code of the small float types.

#include "frontends/tensors/narrow_floats.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "gtest/gtest.h"
#include "ir/dtype.h"

namespace monoquant {
namespace {

uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

struct Format {
  DType dtype;
  int exponent_bits;
  int bias;
};

constexpr Format kFormats[] = {
    {DType::kF8E4M3, 4, 7},
    {DType::kF8E5M2, 5, 15},
    {DType::kF8E4M3FNUZ, 4, 8},
    {DType::kF8E5M2FNUZ, 5, 16},
};

// sign * mantissa * 2^exponent, whatever the code stands for in the end.
double Formula(const Format& format, int code) {
  const int mantissa_bits = 7 - format.exponent_bits;
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int exponent = (code & 0x7F) >> mantissa_bits;
  const int significand =
      exponent == 0 ? mantissa : mantissa + (1 << mantissa_bits);
  return std::copysign(std::ldexp(significand, (exponent == 0 ? 1 : exponent) -
                                                   format.bias - mantissa_bits),
                       code >= 0x80 ? -1.0 : 1.0);
}

TEST(NarrowFloatsTest, EveryCodeOf8Bits) {
  for (const Format& format : kFormats) {
    SCOPED_TRACE(DTypeName(format.dtype));
    const auto& values = *Float8Values(format.dtype);
    int finite = 0;
    for (int code = 0; code < 256; ++code) {
      const float value = values[static_cast<size_t>(code)];
      if (!std::isfinite(value)) continue;
      ++finite;
      EXPECT_EQ(static_cast<double>(value), Formula(format, code)) << code;
      EXPECT_EQ(std::signbit(value), code >= 0x80) << code;
    }
    EXPECT_EQ(finite, format.dtype == DType::kF8E4M3   ? 254
                      : format.dtype == DType::kF8E5M2 ? 248
                                                       : 255);
  }
}

TEST(NarrowFloatsTest, InfinitiesAndNans) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto& e5m2 = *Float8Values(DType::kF8E5M2);
  EXPECT_EQ(e5m2[0x7C], infinity);
  EXPECT_EQ(e5m2[0xFC], -infinity);
  // As torch has them after any arithmetic: quiet, with sign and payload.
  EXPECT_EQ(Bits(e5m2[0x7D]), 0x7FE00000);
  EXPECT_EQ(Bits(e5m2[0xFE]), 0xFFC00000);
  const auto& e4m3 = *Float8Values(DType::kF8E4M3);
  EXPECT_EQ(e4m3[0x7E], 448);
  EXPECT_EQ(Bits(e4m3[0x7F]), 0x7FF00000);
  EXPECT_EQ(Bits(e4m3[0xFF]), 0xFFF00000);
  EXPECT_TRUE(std::isnan((*Float8Values(DType::kF8E4M3FNUZ))[0x80]));
  EXPECT_EQ((*Float8Values(DType::kF8E4M3FNUZ))[0x7F], 240);
  EXPECT_TRUE(std::isnan((*Float8Values(DType::kF8E5M2FNUZ))[0x80]));
  EXPECT_EQ((*Float8Values(DType::kF8E5M2FNUZ))[0xFF], -57344);
}

TEST(NarrowFloatsTest, ExponentsAlone) {
  const auto& e8m0 = *Float8Values(DType::kF8E8M0);
  for (int code = 0; code < 255; ++code) {
    EXPECT_EQ(e8m0[static_cast<size_t>(code)],
              static_cast<float>(std::ldexp(1.0, code - 127)));
  }
  EXPECT_TRUE(std::isnan(e8m0[255]));
}

TEST(NarrowFloatsTest, ReadsFloatsOfAllSizes) {
  const auto half = [](uint16_t bits) {
    uint8_t bytes[2];
    std::memcpy(bytes, &bits, sizeof(bytes));
    return ReadFloat(DType::kF16, bytes);
  };
  EXPECT_EQ(half(0x3C00), 1);
  EXPECT_EQ(half(0xBC01), -1.0009765625);
  EXPECT_EQ(half(0x7BFF), 65504);
  EXPECT_EQ(half(0x0001), std::ldexp(1.0, -24));
  EXPECT_EQ(half(0x83FF), -std::ldexp(1023.0, -24));
  EXPECT_EQ(half(0xFC00), -std::numeric_limits<double>::infinity());
  const uint8_t bf16[] = {0x81, 0x3F};
  EXPECT_EQ(ReadFloat(DType::kBF16, bf16), 1.0078125);
  const double wide = 0.1;
  uint8_t bytes[8];
  std::memcpy(bytes, &wide, sizeof(bytes));
  EXPECT_EQ(ReadFloat(DType::kF64, bytes), wide);
  const uint8_t fp8 = 0x38;
  EXPECT_EQ(ReadFloat(DType::kF8E4M3, &fp8), 1);
  EXPECT_TRUE(IsReadableFloat(DType::kF8E8M0));
  EXPECT_FALSE(IsReadableFloat(DType::kF4));
  EXPECT_FALSE(IsReadableFloat(DType::kU8));
}

}  // namespace
}  // namespace monoquant
