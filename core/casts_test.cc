#include "core/casts.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using testing::Random;

constexpr float kInf = std::numeric_limits<float>::infinity();

uint32_t BitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// What a float format with these fields holds, from its definition.
double Decode(uint32_t bits, int exponent_bits, int mantissa_bits) {
  const int mantissa = static_cast<int>(bits) & ((1 << mantissa_bits) - 1);
  const int exponent =
      static_cast<int>(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
  const bool negative = bits >> (mantissa_bits + exponent_bits) != 0;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  double value;
  if (exponent == (1 << exponent_bits) - 1) {
    value = mantissa == 0 ? std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias - mantissa_bits);
  } else {
    value = std::ldexp(mantissa + (1 << mantissa_bits),
                       exponent - bias - mantissa_bits);
  }
  return negative ? -value : value;
}

TEST(CastsTest, EveryHalfIsDecodedExactly) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = HalfToFloat(static_cast<uint16_t>(bits));
    const double expected = Decode(bits, 5, 10);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(value)) << bits;
      EXPECT_EQ(BitsOf(value),
                (bits >> 15 << 31) | 0x7fc00000u | (bits & 0x3ffu) << 13);
    } else {
      EXPECT_EQ(static_cast<double>(value), expected) << bits;
      EXPECT_EQ(std::signbit(value), std::signbit(expected)) << bits;
    }
  }
}

TEST(CastsTest, EveryBFloat16IsDecodedExactly) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    EXPECT_EQ(BitsOf(BFloat16ToFloat(static_cast<uint16_t>(bits))), bits << 16);
  }
}

// Narrowing the exact values must give them back; NaNs become quiet.
TEST(CastsTest, EveryValueSurvivesWideningAndNarrowing) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const uint16_t bits = static_cast<uint16_t>(i);
    const bool half_nan = (i & 0x7fff) > 0x7c00;
    EXPECT_EQ(FloatToHalf(HalfToFloat(bits)), half_nan ? bits | 0x200 : bits);
    const bool bf16_nan = (i & 0x7fff) > 0x7f80;
    EXPECT_EQ(FloatToBFloat16(BFloat16ToFloat(bits)),
              bf16_nan ? bits | 0x40 : bits);
  }
}

// Between two neighbours of a format, rounding must turn over exactly in the
// middle, and the middle itself go to the even one.
TEST(CastsTest, RoundsToNearestEvenBetweenAllNeighbours) {
  for (uint32_t low = 0; low < 0x7bff; ++low) {
    const double middle = (Decode(low, 5, 10) + Decode(low + 1, 5, 10)) / 2;
    const float at = static_cast<float>(middle);  // exact
    const uint32_t even = low % 2 == 0 ? low : low + 1;
    EXPECT_EQ(FloatToHalf(at), even);
    EXPECT_EQ(FloatToHalf(std::nextafter(at, 0.0f)), low);
    EXPECT_EQ(FloatToHalf(std::nextafter(at, kInf)), low + 1);
    EXPECT_EQ(FloatToHalf(-at), even | 0x8000);
  }
  for (uint32_t low = 0; low < 0x7f80; ++low) {
    const uint32_t middle = low << 16 | 0x8000;
    const uint32_t even = low % 2 == 0 ? low : low + 1;
    EXPECT_EQ(FloatToBFloat16(FromBits(middle)), even);
    EXPECT_EQ(FloatToBFloat16(FromBits(middle - 1)), low);
    EXPECT_EQ(FloatToBFloat16(FromBits(middle + 1)), low + 1);
    EXPECT_EQ(FloatToBFloat16(FromBits(middle | 0x80000000u)), even | 0x8000);
  }
}

TEST(CastsTest, OverflowsToInfinity) {
  EXPECT_EQ(FloatToHalf(65504), 0x7bff);
  EXPECT_EQ(FloatToHalf(std::nextafter(65520.0f, 0.0f)), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520), 0x7c00);
  EXPECT_EQ(FloatToHalf(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToHalf(-kInf), 0xfc00);
  EXPECT_EQ(FloatToBFloat16(FromBits(0x7f7f7fff)), 0x7f7f);
  EXPECT_EQ(FloatToBFloat16(FromBits(0x7f7f8000)), 0x7f80);
  EXPECT_EQ(FloatToBFloat16(-kInf), 0xff80);
}

TEST(CastsTest, NanStaysNan) {
  // A payload that lies in the bits that are cut off must not become infinity.
  for (uint32_t bits : {0x7f800001u, 0xff800001u, 0x7fc00000u, 0x7fffffffu}) {
    EXPECT_TRUE(std::isnan(HalfToFloat(FloatToHalf(FromBits(bits)))));
    EXPECT_TRUE(std::isnan(BFloat16ToFloat(FloatToBFloat16(FromBits(bits)))));
    EXPECT_EQ(FloatToHalf(FromBits(bits)) >> 15, bits >> 31);
    EXPECT_EQ(FloatToBFloat16(FromBits(bits)) >> 15, bits >> 31);
  }
}

TEST(CastsTest, DoublesAreRoundedOnce) {
  const double doubles[] = {0.1,    -1e300,      1e300,
                            1e-300, 1 + 0x1p-24, 1 + 0x1p-24 + 0x1p-50};
  float floats[6];
  ToFloat(DType::kF64, reinterpret_cast<const uint8_t*>(doubles),
          absl::MakeSpan(floats));
  const float expected[] = {0.1f, -kInf, kInf, 0, 1, 1 + 0x1p-23f};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(floats[i], expected[i]) << i;
}

// Powers of two, the smallest of which is a subnormal float.
TEST(CastsTest, EveryE4M3) {
  for (int code = 0; code < 256; ++code) {
    const uint8_t byte = static_cast<uint8_t>(code);
    float value;
    const bool finite =
        ToFloat(DType::kF8E4M3, &byte, absl::MakeSpan(&value, 1));
    EXPECT_EQ(finite, (code & 0x7f) != 0x7f);
    if (!finite) continue;
    uint8_t back;
    FromFloat(DType::kF8E4M3, absl::MakeConstSpan(&value, 1), &back);
    EXPECT_EQ(back, byte);
  }
}

TEST(CastsTest, EveryE8M0) {
  for (uint32_t code = 0; code < 256; ++code) {
    const uint8_t byte = static_cast<uint8_t>(code);
    float value;
    EXPECT_EQ(ToFloat(DType::kF8E8M0, &byte, absl::MakeSpan(&value, 1)),
              code != 255);
    if (code == 255) {
      EXPECT_TRUE(std::isnan(value));
      continue;
    }
    EXPECT_EQ(value, std::ldexp(1.0f, static_cast<int>(code) - 127));
    uint8_t back;
    FromFloat(DType::kF8E8M0, absl::MakeConstSpan(&value, 1), &back);
    EXPECT_EQ(back, byte);
  }
}

// The loops over many elements, at any alignment and length, against the
// functions for one.
TEST(CastsTest, BulkEqualsSingle) {
  Random random(3);
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    const size_t size = static_cast<size_t>(FloatBytes(dtype));
    for (size_t count = 0; count < 70; ++count) {
      std::vector<float> values(count);
      for (float& value : values) value = random.Finite();
      std::vector<uint8_t> bytes(1 + count * size);
      FromFloat(dtype, values, bytes.data() + 1);
      std::vector<float> back(count);
      ToFloat(dtype, bytes.data() + 1, absl::MakeSpan(back));
      for (size_t i = 0; i < count; ++i) {
        float expected = values[i];
        if (dtype == DType::kF16) {
          expected = HalfToFloat(FloatToHalf(expected));
        } else if (dtype == DType::kBF16) {
          expected = BFloat16ToFloat(FloatToBFloat16(expected));
        }
        EXPECT_EQ(BitsOf(back[i]), BitsOf(expected));
      }
    }
  }
}

}  // namespace
}  // namespace monoquant
