// What must be known of values before they are rounded: whether all are finite,
// and from where to where they go.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_STATISTICS_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_STATISTICS_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_STATISTICS_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_STATISTICS_INL_H_
#endif

#include <algorithm>
#include <cstddef>

#include "core/kernels/element.h"
#include "core/kernels/kernels.h"
#include "core/kernels/simd/vectors-inl.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

size_t CountNonfinite(const float* values, size_t count) {
  // One question for many values, which nearly always are all finite.
  constexpr size_t kBlock = 32 * kLanes;
  const VU infinity = Constant(element::kInfinity);
  size_t found = 0;
  size_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    VU largest[2] = {hn::Zero(kU), hn::Zero(kU)};
    const auto look = [&](size_t chain, const float* from) HWY_ATTR {
      const VU bits = hn::BitCast(kU, hn::LoadU(kF, from));
      const VU exponent = hn::And(bits, infinity);
      largest[chain] = hn::BitCast(kU, hn::Max(hn::BitCast(kI, largest[chain]),
                                               hn::BitCast(kI, exponent)));
    };
    for (size_t j = i; j < i + kBlock; j += 2 * kVector) {
      hwy::Prefetch(values + j + kAhead / sizeof(float));
      look(0, values + j);
      look(1, values + j + kVector);
    }
    if (hn::AllFalse(kU, hn::Eq(largest[0], infinity)) &&
        hn::AllFalse(kU, hn::Eq(largest[1], infinity))) {
      continue;
    }
    found += kScalarKernels.count_nonfinite(values + i, kBlock);
  }
  return found + kScalarKernels.count_nonfinite(values + i, count - i);
}

// The smallest and largest of some values, in lanes; 0 is among them.
struct RangeLanes {
  VF min;
  VF max;
};

// Of at least kLanes values.
HWY_INLINE RangeLanes RangeOf(const float* values, size_t count) {
  // Several chains, so that no comparison waits for the one before it.
  constexpr size_t kChains = 4;
  VF min[kChains];
  VF max[kChains];
  for (size_t c = 0; c < kChains; ++c) min[c] = max[c] = hn::Zero(kF);
  const auto extend = [&](size_t chain, const float* from) HWY_ATTR {
    const VF x = hn::LoadU(kF, from);
    min[chain] = hn::Min(min[chain], x);
    max[chain] = hn::Max(max[chain], x);
  };
  size_t i = 0;
  for (; i + kChains * kVector <= count; i += kChains * kVector) {
    extend(0, values + i);
    extend(1, values + i + kVector);
    extend(2, values + i + 2 * kVector);
    extend(3, values + i + 3 * kVector);
  }
  for (; i + kVector <= count; i += kVector) extend(0, values + i);
  // The last ones once more, where they do not fill a vector.
  if (i < count) extend(1, values + count - kVector);
  return {hn::Min(hn::Min(min[0], min[1]), hn::Min(min[2], min[3])),
          hn::Max(hn::Max(max[0], max[1]), hn::Max(max[2], max[3]))};
}

// The smallest of what is in the same place of each block of four lanes.
using Block = hn::CappedTag<float, 4>;
HWY_INLINE hn::Vec<Block> MinOfBlocks(VF x) {
#if HWY_MAX_BYTES == 16
  return x;
#else
  constexpr hn::Half<F> kHalf;
  const auto half = hn::Min(hn::LowerHalf(kHalf, x), hn::UpperHalf(kHalf, x));
#if HWY_MAX_BYTES == 32
  return half;
#else
  constexpr hn::Half<hn::Half<F> > kQuarter;
  return hn::Min(hn::LowerHalf(kQuarter, half), hn::UpperHalf(kQuarter, half));
#endif
#endif
}

// Extends the ranges of two runs, whose lanes these are.
HWY_INLINE void Extend(const RangeLanes& a, const RangeLanes& b,
                       ValueRange* range_a, ValueRange* range_b) {
  // All are minima when signs are changed, and the four of them are brought
  // together: a transposition that takes minima on its way.
  const VF mins = hn::Min(hn::InterleaveLower(kF, a.min, b.min),
                          hn::InterleaveUpper(kF, a.min, b.min));
  const VF maxs = hn::Max(hn::InterleaveLower(kF, a.max, b.max),
                          hn::InterleaveUpper(kF, a.max, b.max));
  const VF negated = hn::Neg(maxs);
  const VF all = hn::Min(hn::InterleaveLower(kF, mins, negated),
                         hn::InterleaveUpper(kF, mins, negated));
  float found[4];  // of a: min, -max; of b: min, -max
  hn::StoreU(MinOfBlocks(all), Block(), found);
  range_a->min = std::min(range_a->min, found[0]);
  range_a->max = std::max(range_a->max, -found[1]);
  range_b->min = std::min(range_b->min, found[2]);
  range_b->max = std::max(range_b->max, -found[3]);
}

void ExtendRanges(const float* values, size_t count, size_t run,
                  ValueRange* ranges) {
  // Two runs at a time.
  for (; run >= kLanes && count >= 2 * run; count -= 2 * run) {
    Extend(RangeOf(values, run), RangeOf(values + run, run), &ranges[0],
           &ranges[1]);
    values += 2 * run;
    ranges += 2;
  }
  while (count > 0) {
    const size_t size = std::min(run, count);
    if (size < kLanes) {
      kScalarKernels.extend_ranges(values, size, size, ranges);
    } else {
      const RangeLanes lanes = RangeOf(values, size);
      Extend(lanes, lanes, ranges, ranges);
    }
    values += size;
    count -= size;
    ++ranges;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_STATISTICS_INL_H_
