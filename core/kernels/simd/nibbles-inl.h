// Two levels of 4 bits to a byte, and back.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_NIBBLES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_NIBBLES_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_NIBBLES_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_NIBBLES_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "core/kernels/kernels.h"
#include "core/kernels/simd/vectors-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

using Bytes = hn::ScalableTag<uint8_t>;
using Words = hn::Repartition<uint16_t, Bytes>;
using SignedWords = hn::Repartition<int16_t, Bytes>;
using HalfBytes = hn::Half<Bytes>;

void PackNibbles(const uint8_t* levels, size_t count, uint8_t* bytes) {
  constexpr Bytes kBytes;
  constexpr Words kWords;
  constexpr SignedWords kSigned;
  constexpr HalfBytes kHalf;
  constexpr size_t kStep = HWY_LANES(uint8_t);
  const auto low = hn::Set(kBytes, 15);
  const auto byte = hn::Set(kWords, 255);
  size_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    const auto pairs =
        hn::BitCast(kWords, hn::And(hn::LoadU(kBytes, levels + i), low));
    const auto packed = hn::And(hn::Or(pairs, hn::ShiftRight<4>(pairs)), byte);
    StoreTo(hn::DemoteTo(kHalf, hn::BitCast(kSigned, packed)), kHalf,
            bytes + i / 2);
  }
  kScalarKernels.pack_nibbles(levels + i, count - i, bytes + i / 2);
}

void UnpackNibbles(const uint8_t* bytes, size_t count, bool is_signed,
                   uint8_t* levels) {
  constexpr Bytes kBytes;
  constexpr Words kWords;
  constexpr HalfBytes kHalf;
  constexpr size_t kStep = HWY_LANES(uint8_t);
  const auto low = hn::Set(kBytes, 15);
  const auto sign = hn::Set(kBytes, is_signed ? 8 : 0);
  size_t i = 0;
  for (; i + kStep <= count; i += kStep) {
    const auto wide = hn::PromoteTo(kWords, LoadFrom(kHalf, bytes + i / 2));
    const auto pairs = hn::Or(wide, hn::ShiftLeft<4>(wide));
    const auto nibbles = hn::And(hn::BitCast(kBytes, pairs), low);
    hn::StoreU(hn::Sub(hn::Xor(nibbles, sign), sign), kBytes, levels + i);
  }
  kScalarKernels.unpack_nibbles(bytes + i / 2, count - i, is_signed,
                                levels + i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_NIBBLES_INL_H_
