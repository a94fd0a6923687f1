#include "core/casts.h"

#include <cstddef>
#include <cstring>

namespace monoquant {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "payload is copied between memory and files as it is");

template <typename To, typename From>
To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// The conversions below are branch-free selects, so that loops over them can
// be vectorised. None of them computes with a subnormal float: a process that
// flushes subnormals to zero gets the same bits.

inline float FromHalf(uint32_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t shifted = (half & 0x7fffu) << 13;
  const uint32_t exponent = shifted & 0x0f800000u;
  // Normal: move the exponent's bias from 15 to 127.
  uint32_t bits = shifted + (112u << 23);
  // Infinity and NaN: once more, up to the largest exponent.
  bits += exponent == 0x0f800000u ? 112u << 23 : 0u;
  // Subnormal: 2^-14 * (1 + mantissa) - 2^-14 is exact.
  const float subnormal =
      BitCast<float>(shifted + (113u << 23)) - BitCast<float>(113u << 23);
  bits = exponent == 0 ? BitCast<uint32_t>(subnormal) : bits;
  return BitCast<float>(bits | sign);
}

inline uint16_t ToHalf(float value) {
  const uint32_t bits = BitCast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Normal: move the bias, then round on bit 13, ties to the even neighbour.
  // A carry out of the mantissa goes into the exponent, as it should.
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t normal = (magnitude - (112u << 23) + 0xfffu + odd) >> 13;
  // Subnormal: adding 0.5 leaves the 24-bit significand with exactly the bits
  // that the result has, rounded to nearest even by the addition itself.
  const uint32_t subnormal =
      BitCast<uint32_t>(BitCast<float>(magnitude) + 0.5f) - (126u << 23);
  const uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
  uint32_t half = magnitude < (113u << 23) ? subnormal : normal;
  half = magnitude >= 0x477ff000u ? 0x7c00u : half;  // 65520
  half = magnitude > 0x7f800000u ? nan : half;
  return static_cast<uint16_t>(half | sign);
}

inline uint16_t ToBFloat16(float value) {
  const uint32_t bits = BitCast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x0040u;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(is_nan ? nan : rounded);
}

inline float FromBFloat16(uint32_t bits) { return BitCast<float>(bits << 16); }

// Applies `convert` to `count` elements of type From at `src`.
template <typename From, typename To, typename Convert>
void ConvertAll(const uint8_t* src, size_t count, uint8_t* dst,
                Convert convert) {
  for (size_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, src + i * sizeof(From), sizeof(from));
    const To to = convert(from);
    std::memcpy(dst + i * sizeof(To), &to, sizeof(to));
  }
}

}  // namespace

float HalfToFloat(uint16_t bits) { return FromHalf(bits); }
uint16_t FloatToHalf(float value) { return ToHalf(value); }
float BFloat16ToFloat(uint16_t bits) { return FromBFloat16(bits); }
uint16_t FloatToBFloat16(float value) { return ToBFloat16(value); }

void ToFloat(DType dtype, const uint8_t* src, absl::Span<float> dst) {
  uint8_t* out = reinterpret_cast<uint8_t*>(dst.data());
  switch (dtype) {
    case DType::kF16:
      ConvertAll<uint16_t, float>(src, dst.size(), out,
                                  [](uint16_t x) { return FromHalf(x); });
      return;
    case DType::kBF16:
      ConvertAll<uint16_t, float>(src, dst.size(), out,
                                  [](uint16_t x) { return FromBFloat16(x); });
      return;
    case DType::kF64:
      ConvertAll<double, float>(src, dst.size(), out,
                                [](double x) { return static_cast<float>(x); });
      return;
    default:  // F32, by the contract
      if (!dst.empty()) std::memcpy(out, src, dst.size() * sizeof(float));
      return;
  }
}

void FromFloat(DType dtype, absl::Span<const float> src, uint8_t* dst) {
  const uint8_t* in = reinterpret_cast<const uint8_t*>(src.data());
  switch (dtype) {
    case DType::kF16:
      ConvertAll<float, uint16_t>(in, src.size(), dst,
                                  [](float x) { return ToHalf(x); });
      return;
    case DType::kBF16:
      ConvertAll<float, uint16_t>(in, src.size(), dst,
                                  [](float x) { return ToBFloat16(x); });
      return;
    case DType::kF64:
      ConvertAll<float, double>(in, src.size(), dst,
                                [](float x) { return static_cast<double>(x); });
      return;
    default:  // F32, by the contract
      if (!src.empty()) std::memcpy(dst, in, src.size() * sizeof(float));
      return;
  }
}

}  // namespace monoquant
