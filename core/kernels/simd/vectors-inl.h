// Vectors of the instruction set that is being compiled: their types, and small
// operations that Highway has not, or not as fast.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_VECTORS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_VECTORS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_VECTORS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_VECTORS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/kernels.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using F = hn::CappedTag<float, kLanes>;
using I = hn::RebindToSigned<F>;
using U = hn::RebindToUnsigned<F>;
using U16 = hn::Rebind<uint16_t, F>;
using U8 = hn::Rebind<uint8_t, F>;
using VF = hn::Vec<F>;
using VU = hn::Vec<U>;
using F16 = hn::Rebind<hwy::float16_t, F>;
using Vec16 = hn::Vec<U16>;

constexpr F kF;
constexpr I kI;
constexpr U kU;
constexpr U16 kU16;
constexpr U8 kU8;
[[maybe_unused]] constexpr F16 kF16;

constexpr size_t kVector = HWY_MIN(HWY_LANES(float), kLanes);
constexpr size_t kVectors = kLanes / kVector;

// Vectors from bytes that lie anywhere, and back.
template <class D>
constexpr size_t kBytesOf = hn::MaxLanes(D()) * sizeof(hn::TFromD<D>);

#if HWY_TARGET == HWY_WASM

// Highway's own take parts of a vector through memory.
template <class D>
HWY_INLINE hn::Vec<D> LoadFrom(D, const uint8_t* from) {
  static_assert(kBytesOf<D> == 4 || kBytesOf<D> == 8);
  if constexpr (kBytesOf<D> == 8) {
    return hn::Vec<D>{wasm_v128_load64_zero(from)};
  } else {
    return hn::Vec<D>{wasm_v128_load32_zero(from)};
  }
}

template <class D>
HWY_INLINE void StoreTo(hn::Vec<D> v, D, uint8_t* to) {
  static_assert(kBytesOf<D> == 4 || kBytesOf<D> == 8);
  if constexpr (kBytesOf<D> == 8) {
    wasm_v128_store64_lane(to, v.raw, 0);
  } else {
    wasm_v128_store32_lane(to, v.raw, 0);
  }
}

#else

template <class D>
HWY_INLINE hn::Vec<D> LoadFrom(D d, const uint8_t* from) {
  hn::TFromD<D> in[hn::MaxLanes(D())];
  std::memcpy(in, from, kBytesOf<D>);
  return hn::LoadU(d, in);
}

template <class D>
HWY_INLINE void StoreTo(hn::Vec<D> v, D d, uint8_t* to) {
  hn::TFromD<D> out[hn::MaxLanes(D())];
  hn::StoreU(v, d, out);
  std::memcpy(to, out, kBytesOf<D>);
}

#endif

// The same vector, of which the compiler knows nothing any more. Those for
// WebAssembly name a constant wherever it is used, where engines make it anew
// with several instructions, and turn a mask's `and` into a slower selection.
HWY_INLINE VU Opaque(VU vector) {
#if HWY_TARGET == HWY_WASM
  asm("" : "+r"(vector.raw));
#endif
  return vector;
}

HWY_INLINE VU Constant(uint32_t value) { return Opaque(hn::Set(kU, value)); }

HWY_INLINE VU SelectLess(VU a, VU b, VU yes, VU no) {
  // Compared as signed numbers, which every set can: no operand has bit 31.
  const auto less = hn::Lt(hn::BitCast(kI, a), hn::BitCast(kI, b));
  return hn::BitCast(
      kU, hn::IfThenElse(less, hn::BitCast(kI, yes), hn::BitCast(kI, no)));
}

// `value` where a < b, otherwise 0. Compared as signed numbers, which every set
// can: no operand has bit 31.
HWY_INLINE VU IfLess(VU a, VU b, VU value) {
  const auto less = hn::Lt(hn::BitCast(kI, a), hn::BitCast(kI, b));
  const VU mask = hn::BitCast(kU, hn::VecFromMask(kI, less));
  return hn::And(Opaque(mask), value);
}

// How many bytes ahead to ask for a cache line.
constexpr size_t kAhead = 2048;

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_VECTORS_INL_H_
