// Floats of at most eight bits: a sign, bits of exponent, bits of mantissa.
//
// What core/kernels/element.h says of its own definitions holds for these.

#ifndef MONOQUANT_CORE_KERNELS_SMALL_FLOATS_H_
#define MONOQUANT_CORE_KERNELS_SMALL_FLOATS_H_

#include <cstdint>

#include "core/kernels/element.h"

namespace monoquant::element {

// The exponent's bias is that of IEEE 754. Codes count up with the magnitude:
// `kLargest` is that of the largest number, those above it are an infinity, if
// there is one, and NaN. Without `kHasMinusZero` a -0 becomes the code of 0,
// and so does a subnormal float where these are flushed; what else is too small
// for a code keeps its sign in any case.
template <int kExponentBits, int kMantissaBits, uint32_t kLargest,
          bool kHasInfinity, bool kHasMinusZero>
struct SmallFloat {
  static constexpr uint32_t kBias = (1u << (kExponentBits - 1)) - 1;
  // From a code to a float: where the mantissa begins, and the sign.
  static constexpr int kShift = 23 - kMantissaBits;
  static constexpr int kSignShift = 31 - kExponentBits - kMantissaBits;
  static constexpr uint32_t kSign = 0x80000000u >> kSignShift;
  static constexpr uint32_t kMagnitude = kSign - 1;
  // From one bias to the other.
  static constexpr uint32_t kBiasStep = (127 - kBias) << 23;
  static constexpr uint32_t kSmallestNormal = (128 - kBias) << 23;
  // As a float, and as a code that has been shifted.
  static constexpr uint32_t kLargestFloat = (kLargest << kShift) + kBiasStep;
  static constexpr uint32_t kLargestShifted = kLargest << kShift;
  // A power of two, so that the last bit of a float just above it is worth as
  // much as that of a subnormal code.
  static constexpr uint32_t kMagic = (151 - kBias - kMantissaBits) << 23;
  // To be added before the lower bits are cut off: less than half.
  static constexpr uint32_t kBelowHalf = (1u << (kShift - 1)) - 1;
  static constexpr bool kHasNan = kLargest < kMagnitude;
  static constexpr uint32_t kAboveLargest =
      kHasInfinity ? kInfinity : kQuietNan;
  static constexpr bool kInfinite = kHasInfinity;
  static constexpr bool kMinusZero = kHasMinusZero;

  static float FromCode(uint32_t code) {
    const uint32_t sign = (code & kSign) << kSignShift;
    const uint32_t shifted = (code & kMagnitude) << kShift;
    uint32_t bits = shifted + kBiasStep;
    // Subnormal: 2^(1 - bias) * (1 + mantissa) - 2^(1 - bias) is exact.
    const float subnormal = BitCast<float>(shifted + kSmallestNormal) -
                            BitCast<float>(kSmallestNormal);
    bits = shifted < 1u << 23 ? BitCast<uint32_t>(subnormal) : bits;
    bits = shifted > kLargestShifted ? kAboveLargest : bits;
    if constexpr (kHasInfinity) {
      bits = shifted > kLargestShifted + (1u << kShift) ? kQuietNan : bits;
    }
    return BitCast<float>(bits | sign);
  }

  // The nearest code, ties to even; the largest number for all that is larger.
  // `value` is not NaN.
  static uint8_t ToCode(float value) {
    const uint32_t bits = BitCast<uint32_t>(value);
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t sign = (bits >> kSignShift) & kSign;
    if constexpr (!kHasMinusZero) sign = magnitude == 0 ? 0 : sign;
    magnitude = magnitude < kLargestFloat ? magnitude : kLargestFloat;
    // As in ToHalf: rounding on the last bit carries into the exponent, and the
    // addition of a power of two rounds what becomes subnormal. A float that is
    // subnormal itself changes nothing in that sum, flushed to zero or not.
    const uint32_t odd = (magnitude >> kShift) & 1u;
    const uint32_t normal =
        (magnitude - kBiasStep + kBelowHalf + odd) >> kShift;
    const uint32_t subnormal =
        BitCast<uint32_t>(BitCast<float>(magnitude) + BitCast<float>(kMagic)) -
        kMagic;
    const uint32_t code = magnitude < kSmallestNormal ? subnormal : normal;
    return static_cast<uint8_t>(code | sign);
  }
};

// torch.float8_e4m3fn: to 448 in steps of 2^-9 at least. 0x7f is NaN.
using E4M3 = SmallFloat<4, 3, 0x7e, /*kHasInfinity=*/false,
                        /*kHasMinusZero=*/true>;

// torch.float8_e5m2: to 57344 in steps of 2^-16 at least. 0x7c is infinity, and
// what is above it NaN.
using E5M2 = SmallFloat<5, 2, 0x7b, /*kHasInfinity=*/true,
                        /*kHasMinusZero=*/true>;

// The OCP's FP4: 0, 0.5, 1, 1.5, 2, 3, 4, 6, and no other. compressed-tensors
// gives a -0 the code of 0.
using E2M1 = SmallFloat<2, 1, 0x07, /*kHasInfinity=*/false,
                        /*kHasMinusZero=*/false>;

}  // namespace monoquant::element

#endif  // MONOQUANT_CORE_KERNELS_SMALL_FLOATS_H_
