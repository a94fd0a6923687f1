#include "frontends/tensors/narrow_floats.h"

#include <cstddef>
#include <cstring>
#include <iterator>

namespace monoquant {
namespace {

// Which codes are no finite numbers.
enum class Specials {
  kIeee,     // the largest exponent: infinities and NaNs
  kNoInf,    // all bits of exponent and mantissa: NaN
  kOnlyOne,  // "FNUZ": the pattern of negative zero is the NaN
};

struct Format {
  int exponent_bits;
  int mantissa_bits;
  int bias;
  Specials specials;
};

constexpr Format kE4M3 = {4, 3, 7, Specials::kNoInf};
constexpr Format kE5M2 = {5, 2, 15, Specials::kIeee};
constexpr Format kE4M3Fnuz = {4, 3, 8, Specials::kOnlyOne};
constexpr Format kE5M2Fnuz = {5, 2, 16, Specials::kOnlyOne};
constexpr Format kHalf = {5, 10, 15, Specials::kIeee};

constexpr uint32_t kFloatInfinity = 0x7F800000;
constexpr uint32_t kQuietBit = 0x00400000;
constexpr int kFloatMantissaBits = 23;
constexpr int kFloatBias = 127;

// The bits of the float32 with the value of `code`.
constexpr uint32_t Widen(const Format& format, uint32_t code) {
  const int m = format.mantissa_bits;
  const uint32_t exponent_mask = (uint32_t{1} << format.exponent_bits) - 1;
  uint32_t mantissa = code & ((uint32_t{1} << m) - 1);
  int exponent = static_cast<int>((code >> m) & exponent_mask);
  const uint32_t sign = (code >> (m + format.exponent_bits)) << 31;
  const bool is_last = static_cast<uint32_t>(exponent) == exponent_mask;
  const uint32_t payload = mantissa << (kFloatMantissaBits - m);
  switch (format.specials) {
    case Specials::kIeee:
      if (is_last && mantissa == 0) return sign | kFloatInfinity;
      if (is_last) return sign | kFloatInfinity | kQuietBit | payload;
      break;
    case Specials::kNoInf:
      if (is_last && mantissa == (uint32_t{1} << m) - 1) {
        return sign | kFloatInfinity | kQuietBit | payload;
      }
      break;
    case Specials::kOnlyOne:
      if (sign != 0 && exponent == 0 && mantissa == 0) {
        return kFloatInfinity | kQuietBit | 1;
      }
      break;
  }
  if (exponent == 0) {
    if (mantissa == 0) return sign;
    // A subnormal number, which float32 has as a normal one.
    exponent = 1;
    while ((mantissa >> m) == 0) {
      mantissa <<= 1;
      --exponent;
    }
    mantissa &= (uint32_t{1} << m) - 1;
  }
  const auto float_exponent =
      static_cast<uint32_t>(exponent - format.bias + kFloatBias);
  return sign | (float_exponent << kFloatMantissaBits) |
         (mantissa << (kFloatMantissaBits - m));
}

// E8M0, a bare exponent: 2^(code - 127).
constexpr uint32_t WidenE8M0(uint32_t code) {
  if (code == 0xFF) return kFloatInfinity | kQuietBit | 1;
  // 2^-127 is subnormal in float32.
  return code == 0 ? uint32_t{1} << (kFloatMantissaBits - 1)
                   : code << kFloatMantissaBits;
}

float FromBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

using Table = std::array<float, 256>;

struct Float8 {
  DType dtype;
  const Format* format;  // null: E8M0
};

constexpr Float8 kFloat8[] = {
    {DType::kF8E4M3, &kE4M3},         {DType::kF8E5M2, &kE5M2},
    {DType::kF8E4M3FNUZ, &kE4M3Fnuz}, {DType::kF8E5M2FNUZ, &kE5M2Fnuz},
    {DType::kF8E8M0, nullptr},
};

struct Tables {
  Tables() {
    for (size_t i = 0; i < std::size(kFloat8); ++i) {
      const Format* format = kFloat8[i].format;
      for (uint32_t code = 0; code < 256; ++code) {
        values[i][code] = FromBits(format != nullptr ? Widen(*format, code)
                                                     : WidenE8M0(code));
      }
    }
  }

  Table values[std::size(kFloat8)];
};

template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

}  // namespace

const Table* Float8Values(DType dtype) {
  static const Tables tables;
  for (size_t i = 0; i < std::size(kFloat8); ++i) {
    if (kFloat8[i].dtype == dtype) return &tables.values[i];
  }
  return nullptr;
}

bool IsReadableFloat(DType dtype) {
  return IsQuantizable(dtype) || Float8Values(dtype) != nullptr;
}

double ReadFloat(DType dtype, const uint8_t* bytes) {
  switch (dtype) {
    case DType::kF64:
      return Load<double>(bytes);
    case DType::kF32:
      return static_cast<double>(Load<float>(bytes));
    case DType::kBF16:
      return static_cast<double>(
          FromBits(static_cast<uint32_t>(Load<uint16_t>(bytes)) << 16));
    case DType::kF16:
      return static_cast<double>(FromBits(Widen(kHalf, Load<uint16_t>(bytes))));
    default: {
      const Table* table = Float8Values(dtype);
      return table == nullptr ? 0 : static_cast<double>((*table)[*bytes]);
    }
  }
}

}  // namespace monoquant
