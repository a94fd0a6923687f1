// Floats of 16 bits to float32 and back.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_CASTS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_CASTS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_CASTS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_CASTS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/element.h"
#include "core/kernels/kernels.h"
#include "core/kernels/simd/vectors-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET <= HWY_AVX2

// These sets have an instruction each way, which rounds to nearest even and
// makes a NaN quiet, like core/kernels/element.h.
struct FromHalf {
  static constexpr bool kExact = true;
  static constexpr uint32_t kNonfinite = element::kInfinity;
  static HWY_INLINE VF Convert(Vec16 half) {
    return hn::PromoteTo(kF, hn::BitCast(kF16, half));
  }
};

HWY_INLINE Vec16 FloatToHalf(VF value) {
  return hn::BitCast(kU16, hn::DemoteTo(kF16, value));
}

#else

struct FromHalf {
  // Infinity and NaN become numbers from 2^16 on, which no half is.
  static constexpr bool kExact = false;
  static constexpr uint32_t kNonfinite = 143u << 23;
  static HWY_INLINE VF Convert(Vec16 narrow) {
    // Extends the sign, which is where a float has it then.
    const VU half = hn::BitCast(
        kU, hn::PromoteTo(kI, hn::BitCast(hn::Rebind<int16_t, F>(), narrow)));
    const VU sign = hn::And(half, Constant(0x80000000u));
    const VU shifted = hn::ShiftLeft<13>(hn::And(half, Constant(0x7fffu)));
    const VU step = Constant(element::kBiasStep);
    const VU normal = Constant(1u << 23);
    // Subnormal: with the exponent of the least normal number, which is taken
    // off again.
    const VU least =
        IfLess(shifted, normal, Constant(element::kSmallestNormalHalf));
    const VU raised =
        hn::Add(hn::Add(shifted, step), IfLess(shifted, normal, normal));
    const VF magnitude =
        hn::Sub(hn::BitCast(kF, raised), hn::BitCast(kF, least));
    return hn::BitCast(kF, hn::Or(hn::BitCast(kU, magnitude), sign));
  }
};

HWY_INLINE Vec16 FloatToHalf(VF value) {
  const VU bits = hn::BitCast(kU, value);
  const VU sign = hn::And(hn::ShiftRight<16>(bits), Constant(0x8000u));
  const VU magnitude = hn::And(bits, Constant(0x7fffffffu));
  const VU shifted = hn::ShiftRight<13>(magnitude);
  const VU odd = hn::And(shifted, Constant(1));
  const VU normal = hn::ShiftRight<13>(
      hn::Add(hn::Add(magnitude, odd), Constant(0xfffu - element::kBiasStep)));
  const VU subnormal = hn::Sub(
      hn::BitCast(kU, hn::Add(hn::BitCast(kF, magnitude), hn::Set(kF, 0.5f))),
      Constant(126u << 23));
  const VU nan = hn::Or(Constant(0x7e00u), hn::And(shifted, Constant(0x03ffu)));
  VU half = SelectLess(magnitude, Constant(element::kSmallestNormalHalf),
                       subnormal, normal);
  half = SelectLess(magnitude, Constant(element::kHalfOverflow), half,
                    Constant(0x7c00u));
  half = SelectLess(Constant(element::kInfinity), magnitude, nan, half);
  return hn::DemoteTo(kU16, hn::BitCast(kI, hn::Or(half, sign)));
}

#endif

struct FromBFloat16 {
  static constexpr bool kExact = true;
  static constexpr uint32_t kNonfinite = element::kInfinity;
  static HWY_INLINE VF Convert(Vec16 bits) {
    return hn::BitCast(kF, hn::ShiftLeft<16>(hn::PromoteTo(kU, bits)));
  }
};

HWY_INLINE Vec16 FloatToBFloat16(VF value) {
  const VU bits = hn::BitCast(kU, value);
  const VU upper = hn::ShiftRight<16>(bits);
  const VU odd = hn::And(upper, Constant(1));
  const VU rounded =
      hn::ShiftRight<16>(hn::Add(hn::Add(bits, odd), Constant(0x7fffu)));
  const VU nan = hn::Or(upper, Constant(0x0040u));
  const VU magnitude = hn::And(bits, Constant(0x7fffffffu));
  const VU result =
      SelectLess(Constant(element::kInfinity), magnitude, nan, rounded);
  return hn::DemoteTo(kU16, hn::BitCast(kI, result));
}

// Elements of 16 bits in a cache line.
constexpr size_t kLine = 32;

// `Format` converts a vector. Of what it makes of infinity and NaN is known
// that the magnitude is that of the float kNonfinite at least, which is the
// case for no other, and with kExact that it is right.
template <class Format>
bool Widen(const uint8_t* src, size_t count, float* dst) {
  // Of the magnitudes; as signed numbers, which they are as well.
  auto largest = hn::Zero(kI);
  const auto widen = [&](const uint8_t* from, float* to) HWY_ATTR {
    const VF value = Format::Convert(LoadFrom(kU16, from));
    hn::StoreU(value, kF, to);
    const VU magnitude = hn::And(hn::BitCast(kU, value), Constant(0x7fffffffu));
    largest = hn::Max(largest, hn::BitCast(kI, magnitude));
  };
  size_t i = 0;
  for (; i + kLine <= count; i += kLine) {
    hwy::Prefetch(src + 2 * i + kAhead);
    for (size_t v = 0; v < kLine; v += kVector) {
      widen(src + 2 * (i + v), dst + i + v);
    }
  }
  for (; i + kVector <= count; i += kVector) widen(src + 2 * i, dst + i);
  if (i < count) {
    uint8_t in[2 * kVector] = {};
    float out[kVector];
    std::memcpy(in, src + 2 * i, 2 * (count - i));
    widen(in, out);
    std::memcpy(dst + i, out, sizeof(float) * (count - i));
  }
  const auto least = hn::BitCast(kI, Constant(Format::kNonfinite - 1));
  const bool finite = hn::AllFalse(kI, hn::Lt(least, largest));
  if (finite || Format::kExact) return finite;
  return kScalarKernels.half_to_float(src, count, dst);
}

template <Vec16 (*kConvert)(VF)>
void Narrow(const float* src, size_t count, uint8_t* dst) {
  const auto narrow = [](const float* from, uint8_t* to) HWY_ATTR {
    StoreTo(kConvert(hn::LoadU(kF, from)), kU16, to);
  };
  size_t i = 0;
  for (; i + kVector <= count; i += kVector) narrow(src + i, dst + 2 * i);
  if (i == count) return;
  float in[kVector] = {};
  uint8_t out[2 * kVector];
  std::memcpy(in, src + i, sizeof(float) * (count - i));
  narrow(in, out);
  std::memcpy(dst + 2 * i, out, 2 * (count - i));
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_CASTS_INL_H_
