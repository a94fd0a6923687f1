// Sums over pairs of an original and its approximation.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_ERRORS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_ERRORS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_ERRORS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_ERRORS_INL_H_
#endif

#include <cstddef>
#include <cstring>

#include "core/kernels/error_block.h"
#include "core/kernels/kernels.h"
#include "core/kernels/simd/vectors-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

// The sums of a block of errors, in registers; those of a * b if kProducts,
// otherwise they follow from the others.
template <bool kProducts>
class ErrorLanes {
 public:
  HWY_INLINE ErrorLanes() {
    for (size_t v = 0; v < kVectors; ++v) {
      aa_[v] = ab_[v] = bb_[v] = ee_[v] = max_[v] = hn::Zero(kF);
    }
  }

  // Adds vector `v` of kLanes pairs.
  HWY_INLINE void Add(size_t v, VF a, VF b) {
    const VF error = hn::Sub(a, b);
    aa_[v] = hn::Add(aa_[v], hn::Mul(a, a));
    if constexpr (kProducts) ab_[v] = hn::Add(ab_[v], hn::Mul(a, b));
    bb_[v] = hn::Add(bb_[v], hn::Mul(b, b));
    ee_[v] = hn::Add(ee_[v], hn::Mul(error, error));
    max_[v] = hn::Max(max_[v], hn::Abs(error));
  }

  // Adds kLanes pairs.
  HWY_INLINE void Add(const float* a, const float* b) {
    for (size_t v = 0; v < kVectors; ++v) {
      Add(v, hn::LoadU(kF, a + v * kVector), hn::LoadU(kF, b + v * kVector));
    }
  }

  HWY_INLINE bool Finish(ErrorSums* sums) const {
    ErrorBlock block;
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(aa_[v], kF, block.aa + v * kVector);
      hn::StoreU(ab_[v], kF, block.ab + v * kVector);
      hn::StoreU(bb_[v], kF, block.bb + v * kVector);
      hn::StoreU(ee_[v], kF, block.ee + v * kVector);
      hn::StoreU(max_[v], kF, block.max + v * kVector);
    }
    if constexpr (!kProducts) DeriveProducts(block);
    return AddBlock(block, sums);
  }

 private:
  VF aa_[kVectors];
  VF ab_[kVectors];
  VF bb_[kVectors];
  VF ee_[kVectors];
  VF max_[kVectors];
};

bool AddErrors(const float* a, const float* b, size_t count, ErrorSums* sums) {
  ErrorLanes<true> lanes;
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) lanes.Add(a + i, b + i);
  if (i < count) {
    float rest_a[kLanes] = {};
    float rest_b[kLanes] = {};
    std::memcpy(rest_a, a + i, sizeof(float) * (count - i));
    std::memcpy(rest_b, b + i, sizeof(float) * (count - i));
    lanes.Add(rest_a, rest_b);
  }
  return lanes.Finish(sums);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_ERRORS_INL_H_
