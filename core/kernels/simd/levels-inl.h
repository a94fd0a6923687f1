// Numbers to the nearest level of a grid, as bytes, and back.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_LEVELS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_LEVELS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_LEVELS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_LEVELS_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "core/kernels/element.h"
#include "core/kernels/llm_int8.h"
#include "core/kernels/simd/vectors-inl.h"
#include "core/kernels/small_floats.h"
#include "core/level_grid.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

// As many vectors as fill one with their bytes.
constexpr size_t kGroupVectors = 4;
constexpr size_t kGroup = kGroupVectors * kVector;
static_assert(kGroup % kLanes == 0);

// Stores numbers below 256 as bytes, in order.
HWY_INLINE void StoreBytes(VU a, VU b, VU c, VU d, uint8_t* to) {
  constexpr hn::Repartition<uint8_t, F> kBytes;
  // A lane has a byte of each vector.
  const VU lanes = hn::Or(hn::Or(a, hn::ShiftLeft<8>(b)),
                          hn::Or(hn::ShiftLeft<16>(c), hn::ShiftLeft<24>(d)));
  alignas(16) static constexpr uint8_t kTransposed[16] = {
      0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const auto blocks = hn::TableLookupBytes(hn::BitCast(kBytes, lanes),
                                           hn::LoadDup128(kBytes, kTransposed));
#if HWY_MAX_BYTES == 16
  hn::StoreU(blocks, kBytes, to);
#else
  // A block of 16 bytes has four of each vector.
  alignas(64) static constexpr int32_t kOrder8[] = {0, 4, 1, 5, 2, 6, 3, 7};
  alignas(64) static constexpr int32_t kOrder16[] = {
      0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
  const auto order = hn::SetTableIndices(kU, kVector == 8 ? kOrder8 : kOrder16);
  const VU ordered = hn::TableLookupLanes(hn::BitCast(kU, blocks), order);
  hn::StoreU(hn::BitCast(kBytes, ordered), kBytes, to);
#endif
}

// The same for one vector.
HWY_INLINE void StoreBytes(VU a, uint8_t* to) {
  StoreTo(hn::DemoteTo(kU8, hn::BitCast(kI, a)), kU8, to);
}

// A level: its byte, and the number that it is.
struct Level {
  VU byte;
  VF number;
};

// Vectors of floats to levels and back, a class for each LevelKind. Round
// takes any number to the nearest level, Load gives the numbers of bytes.
// Codebooks are in a file of their own.

// int8_t and uint8_t: the whole numbers of a grid, or those of LLM.int8.
template <typename Byte, bool kOfLlmInt8 = false>
class WholeLevels {
 public:
  static constexpr bool kHasZeroPoints = !kOfLlmInt8;
  static constexpr bool kIsLlmInt8 = kOfLlmInt8;

  explicit HWY_INLINE WholeLevels(const LevelGrid& grid)
      : qmin_(hn::Set(kF, static_cast<float>(grid.qmin))),
        qmax_(hn::Set(kF, static_cast<float>(grid.qmax))) {}

  HWY_INLINE Level Round(VF x) const {
    // element::RoundToEven: the sum's lowest bits are those of the level.
    const VF magic = hn::Set(kF, element::kRoundingMagic);
    const VF sum = hn::Add(hn::Min(hn::Max(x, qmin_), qmax_), magic);
    return {hn::And(hn::BitCast(kU, sum), Constant(255)), hn::Sub(sum, magic)};
  }

  static HWY_INLINE VF Load(const uint8_t* from) {
    constexpr hn::Rebind<Byte, F> kByte;
    return hn::ConvertTo(
        kF, hn::PromoteTo(kI, hn::BitCast(kByte, LoadFrom(kU8, from))));
  }

 private:
  VF qmin_;
  VF qmax_;
};

// element::SmallFloat: the floats of 8 and 4 bits.
template <class Format>
class FloatLevels {
 public:
  static constexpr bool kHasZeroPoints = false;
  static constexpr bool kIsLlmInt8 = false;

  explicit HWY_INLINE FloatLevels(const LevelGrid&) {}

  static HWY_INLINE Level Round(VF x) {
    const VU bits = hn::BitCast(kU, x);
    VU magnitude = hn::And(bits, Constant(0x7fffffffu));
    VU sign = hn::And(hn::ShiftRight<Format::kSignShift>(bits),
                      Constant(Format::kSign));
    if constexpr (!Format::kMinusZero) {
      sign = IfLess(hn::Zero(kU), magnitude, sign);
    }
    // As signed numbers, which they are as well.
    magnitude = hn::BitCast(
        kU, hn::Min(hn::BitCast(kI, magnitude),
                    hn::BitCast(kI, Constant(Format::kLargestFloat))));
    const VU odd =
        hn::And(hn::ShiftRight<Format::kShift>(magnitude), Constant(1));
    const VU normal = hn::ShiftRight<Format::kShift>(
        hn::Add(hn::Add(magnitude, odd),
                Constant(Format::kBelowHalf - Format::kBiasStep)));
    const VU magic = Constant(Format::kMagic);
    const VU subnormal = hn::Sub(
        hn::BitCast(
            kU, hn::Add(hn::BitCast(kF, magnitude), hn::BitCast(kF, magic))),
        magic);
    const VU code =
        hn::Or(sign, SelectLess(magnitude, Constant(Format::kSmallestNormal),
                                subnormal, normal));
    return {code, NumberOf(code)};
  }

  static HWY_INLINE VF Load(const uint8_t* from) {
    return NumberOf(hn::PromoteTo(kU, LoadFrom(kU8, from)));
  }

 private:
  static HWY_INLINE VF NumberOf(VU code) {
    const VU sign = hn::ShiftLeft<Format::kSignShift>(
        hn::And(code, Constant(Format::kSign)));
    const VU shifted = hn::ShiftLeft<Format::kShift>(
        hn::And(code, Constant(Format::kMagnitude)));
    VU bits = hn::Add(shifted, Constant(Format::kBiasStep));
    const VU least = Constant(Format::kSmallestNormal);
    const VF subnormal = hn::Sub(hn::BitCast(kF, hn::Add(shifted, least)),
                                 hn::BitCast(kF, least));
    bits = SelectLess(shifted, Constant(1u << 23), hn::BitCast(kU, subnormal),
                      bits);
    if constexpr (Format::kHasNan) {
      bits = SelectLess(Constant(Format::kLargestShifted), shifted,
                        Constant(Format::kAboveLargest), bits);
    }
    if constexpr (Format::kInfinite) {
      constexpr uint32_t kShiftedInfinity =
          Format::kLargestShifted + (1u << Format::kShift);
      bits = SelectLess(Constant(kShiftedInfinity), shifted,
                        Constant(element::kQuietNan), bits);
    }
    return hn::BitCast(kF, hn::Or(bits, sign));
  }
};

// What numbers of levels stand for under a scale.
template <class Levels>
HWY_INLINE VF ValuesOf(VF numbers, VF scale) {
  const VF values = hn::Mul(numbers, scale);
  if constexpr (Levels::kIsLlmInt8) {
    return hn::Mul(values, hn::Set(kF, element::kLlmInt8Step));
  }
  return values;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_LEVELS_INL_H_
