// Numbers to the nearest place in a table of 16, and back.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_CODEBOOKS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_CODEBOOKS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_CODEBOOKS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_CODEBOOKS_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "core/kernels/codebooks.h"
#include "core/kernels/simd/levels-inl.h"
#include "core/kernels/simd/vectors-inl.h"
#include "core/level_grid.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

#if HWY_MAX_BYTES == 16

// Vectors of four lanes look up bytes only, so there is a table for each byte
// of a number.
struct BytePlanes {
  alignas(16) uint8_t bytes[4][16];
};

constexpr BytePlanes PlanesOf(const float* numbers) {
  BytePlanes planes = {};
  for (size_t i = 0; i < 16; ++i) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, numbers[i]);
    for (size_t k = 0; k < 4; ++k) {
      planes.bytes[k][i] = static_cast<uint8_t>(bits >> (8 * k));
    }
  }
  return planes;
}

#else

// Those middles that the last two steps of a search compare with, in order.
struct SearchSteps {
  alignas(64) float third[16];
  alignas(64) float fourth[16];
};

constexpr SearchSteps StepsOf(const float (&middles)[15]) {
  SearchSteps steps = {};
  for (size_t i = 0; i < 4; ++i) steps.third[i] = middles[4 * i + 1];
  for (size_t i = 0; i < 8; ++i) steps.fourth[i] = middles[2 * i];
  return steps;
}

// What `place`, which is below 8, names in each lane.
HWY_INLINE VF LookUpEight(const float* table, VU place) {
  return hn::TableLookupLanes(hn::Load(kF, table),
                              hn::IndicesFromVec(kF, place));
}

#endif

// The levels of a codebook (core/kernels/codebooks.h).
template <class Book>
class CodebookLevels {
 public:
  static constexpr bool kHasZeroPoints = false;
  static constexpr bool kIsLlmInt8 = false;

  explicit HWY_INLINE CodebookLevels(const LevelGrid&) {}

  static HWY_INLINE Level Round(VF x) {
    VU code = MiddlesBelow(x);
    if constexpr (!Book::kInOrder) {
      constexpr hn::Repartition<uint8_t, F> kBytes;
      const auto codes = hn::TableLookupBytes(
          hn::LoadDup128(kBytes, Book::kCodes), hn::BitCast(kBytes, code));
      code = hn::And(hn::BitCast(kU, codes), Constant(255));
    }
    return {code, NumberOf(code)};
  }

  static HWY_INLINE VF Load(const uint8_t* from) {
    const VU byte = hn::PromoteTo(kU, LoadFrom(kU8, from));
    return NumberOf(hn::And(byte, Constant(15)));
  }

 private:
#if HWY_MAX_BYTES == 16

  static HWY_INLINE VU MiddlesBelow(VF x) {
    VU below = hn::Zero(kU);
    for (const float middle : Book::kMiddles) {
      const auto is_below = hn::Gt(x, hn::Set(kF, middle));
      below = hn::Sub(below, hn::BitCast(kU, hn::VecFromMask(kF, is_below)));
    }
    return below;
  }

  static HWY_INLINE VF NumberOf(VU code) {
    constexpr hn::Repartition<uint8_t, F> kBytes;
    static constexpr BytePlanes kPlanes = PlanesOf(Book::kNumbers);
    // In each of a lane's bytes, the code.
    const VU two = hn::Or(code, hn::ShiftLeft<8>(code));
    const auto places =
        hn::BitCast(kBytes, hn::Or(two, hn::ShiftLeft<16>(two)));
    const auto look_up = [&](size_t k, uint32_t mask) HWY_ATTR {
      const auto found = hn::TableLookupBytes(
          hn::LoadDup128(kBytes, kPlanes.bytes[k]), places);
      return hn::And(hn::BitCast(kU, found), Constant(mask));
    };
    const VU lower = hn::Or(look_up(0, 0x000000ffu), look_up(1, 0x0000ff00u));
    const VU upper = hn::Or(look_up(2, 0x00ff0000u), look_up(3, 0xff000000u));
    return hn::BitCast(kF, hn::Or(lower, upper));
  }

#else

  // A binary search: each step finds one more bit.
  static HWY_INLINE VU MiddlesBelow(VF x) {
    static constexpr SearchSteps kSteps = StepsOf(Book::kMiddles);
    const auto is_upper_half = hn::Gt(x, hn::Set(kF, Book::kMiddles[7]));
    const VF second =
        hn::IfThenElse(is_upper_half, hn::Set(kF, Book::kMiddles[11]),
                       hn::Set(kF, Book::kMiddles[3]));
    VU below = hn::And(hn::BitCast(kU, hn::VecFromMask(kF, is_upper_half)),
                       Constant(1));
    below = Next(below, x, second);
    below = Next(below, x, LookUpEight(kSteps.third, below));
    return Next(below, x, LookUpEight(kSteps.fourth, below));
  }

  static HWY_INLINE VU Next(VU below, VF x, VF middle) {
    const VU bit = hn::BitCast(kU, hn::VecFromMask(kF, hn::Gt(x, middle)));
    return hn::Sub(hn::Add(below, below), bit);
  }

  static HWY_INLINE VF NumberOf(VU code) {
#if HWY_MAX_BYTES == 64
    return hn::TableLookupLanes(hn::Load(kF, Book::kNumbers),
                                hn::IndicesFromVec(kF, code));
#else
    const VU place = hn::And(code, Constant(7));
    const VF lower = LookUpEight(Book::kNumbers, place);
    const VF upper = LookUpEight(Book::kNumbers + 8, place);
    const auto is_lower = hn::Lt(hn::BitCast(kI, code), hn::Set(kI, 8));
    return hn::IfThenElse(hn::RebindMask(kF, is_lower), lower, upper);
#endif
  }

#endif
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_CODEBOOKS_INL_H_
