// What happens to one element: the definitions that all kernels follow.
//
// Branch-free selects, so that loops over them can be vectorised. None of them
// computes with a subnormal float: a process that flushes subnormals to zero
// gets the same bits.

#ifndef MONOQUANT_CORE_KERNELS_ELEMENT_H_
#define MONOQUANT_CORE_KERNELS_ELEMENT_H_

#include <cstdint>
#include <cstring>

namespace monoquant::element {

template <typename To, typename From>
To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// Exponent biases: 15 of half, 127 of float; 126 turns 0.5 into integer steps.
inline constexpr uint32_t kBiasStep = 112u << 23;
inline constexpr uint32_t kHalfExponent = 0x0f800000u;  // shifted to a float's
inline constexpr uint32_t kSmallestNormalHalf = 113u << 23;
inline constexpr uint32_t kHalfOverflow = 0x477ff000u;  // 65520
inline constexpr uint32_t kInfinity = 0x7f800000u;

inline float FromHalf(uint32_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t shifted = (half & 0x7fffu) << 13;
  const uint32_t exponent = shifted & kHalfExponent;
  // Normal: move the exponent's bias from 15 to 127.
  uint32_t bits = shifted + kBiasStep;
  // Infinity and NaN: once more, up to the largest exponent. A NaN is quiet
  // then, as processors and IEEE 754 have it.
  bits += exponent == kHalfExponent ? kBiasStep : 0u;
  bits |= shifted > kHalfExponent ? 0x00400000u : 0u;
  // Subnormal: 2^-14 * (1 + mantissa) - 2^-14 is exact.
  const float subnormal = BitCast<float>(shifted + kSmallestNormalHalf) -
                          BitCast<float>(kSmallestNormalHalf);
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
  const uint32_t normal = (magnitude - kBiasStep + 0xfffu + odd) >> 13;
  // Subnormal: adding 0.5 leaves the 24-bit significand with exactly the bits
  // that the result has, rounded to nearest even by the addition itself.
  const uint32_t subnormal =
      BitCast<uint32_t>(BitCast<float>(magnitude) + 0.5f) - (126u << 23);
  const uint32_t nan = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
  uint32_t half = magnitude < kSmallestNormalHalf ? subnormal : normal;
  half = magnitude >= kHalfOverflow ? 0x7c00u : half;
  half = magnitude > kInfinity ? nan : half;
  return static_cast<uint16_t>(half | sign);
}

inline float FromBFloat16(uint32_t bits) { return BitCast<float>(bits << 16); }

inline uint16_t ToBFloat16(float value) {
  const uint32_t bits = BitCast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const uint32_t nan = (bits >> 16) | 0x0040u;
  const bool is_nan = (bits & 0x7fffffffu) > kInfinity;
  return static_cast<uint16_t>(is_nan ? nan : rounded);
}

inline constexpr uint32_t kQuietNan = 0x7fc00000u;

// E8M0: a power of two from 2^-127 to 2^127, of which only the exponent is
// kept, with a float's bias. 255 is NaN.
inline float FromE8M0(uint32_t code) {
  uint32_t bits = code << 23;
  bits = code == 0 ? 0x00400000u : bits;  // a subnormal float
  bits = code == 255 ? kQuietNan : bits;
  return BitCast<float>(bits);
}

// The code of a power of two that has one.
inline uint8_t ToE8M0(float power) {
  return static_cast<uint8_t>(BitCast<uint32_t>(power) >> 23);
}

// What values are multiplied with to be divided by a scale. The smallest
// divisor is bitsandbytes', which may have to do with a scale of 0; torch's
// scales are far above it.
inline constexpr float kSmallestDivisor = 1e-38f;
inline float Reciprocal(float scale) {
  return 1.0f / (scale > kSmallestDivisor ? scale : kSmallestDivisor);
}

// 1 for NaN and infinity: all exponent bits are set.
inline uint32_t IsNonfinite(float value) {
  return (BitCast<uint32_t>(value) & kInfinity) == kInfinity ? 1u : 0u;
}

// std::nearbyint for |x| <= 2^22, as two additions that compilers can turn into
// vector code: the sum has no bits left below 1, so the addition itself rounds,
// to nearest even. (Not for use with -ffast-math.)
inline constexpr float kRoundingMagic = 0x1.8p23f;
inline float RoundToEven(float x) {
  return (x + kRoundingMagic) - kRoundingMagic;
}

// The whole number from qmin to qmax nearest to x. Since these are whole,
// clamping first changes nothing.
inline int32_t RoundToLevel(float x, float qmin, float qmax) {
  x = x > qmin ? x : qmin;
  x = x < qmax ? x : qmax;
  return static_cast<int32_t>(RoundToEven(x));
}

// The float nearest to a * b + c. What std::fma gives, but the same on machines
// without the instruction, and without a call.
inline float FusedMultiplyAdd(float a, float b, float c) {
  // Exact: 24 bits times 24 bits.
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  double sum = product + addend;
  // The error of that sum, exactly.
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  // Rounding twice, to 53 and to 24 bits, goes wrong where the first rounding
  // hits the middle between two floats. So make the first one round to odd: a
  // sum that is not exact never ends in 0.
  uint64_t bits = BitCast<uint64_t>(sum);
  if (error != 0 && bits % 2 == 0) {
    bits += (error > 0) == (sum > 0) ? 1 : -1;
    sum = BitCast<double>(bits);
  }
  return static_cast<float>(sum);
}

}  // namespace monoquant::element

#endif  // MONOQUANT_CORE_KERNELS_ELEMENT_H_
