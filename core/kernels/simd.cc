// The kernels with Highway, compiled once for each instruction set.
//
// core/kernels/element.h says what each loop does to an element. All loops go
// by blocks of kLanes floats, one vector or several; what is left over is
// padded to a block. Only Highway's headers are used: which set the processor
// has is asked of the compiler's own cpuid code at the end of the file.

#include "core/kernels/simd.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/kernels/element.h"
#include "core/kernels/error_block.h"
#include "core/kernels/kernels.h"

// SSSE3 alone is not worth a table. g++ 12 does not align vectors of 64 bytes
// on the stack that its address sanitizer makes (gcc.gnu.org/PR110027).
#if defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_AVX3)
#else
#define HWY_DISABLED_TARGETS HWY_SSSE3
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/simd.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

// The reference is better where there are no vectors.
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128

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

// ------------------------------------------------------------------- casts --

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

#if HWY_TARGET <= HWY_AVX2

// These sets have an instruction each way, which rounds to nearest even and
// makes a NaN quiet, like core/kernels/element.h.
HWY_INLINE VF HalfToFloat(Vec16 half) {
  return hn::PromoteTo(kF, hn::BitCast(kF16, half));
}

HWY_INLINE Vec16 FloatToHalf(VF value) {
  return hn::BitCast(kU16, hn::DemoteTo(kF16, value));
}

#else

// `value` where a < b, otherwise 0. Compared as signed numbers, which every set
// can: no operand has bit 31.
HWY_INLINE VU IfLess(VU a, VU b, VU value) {
  const auto less = hn::Lt(hn::BitCast(kI, a), hn::BitCast(kI, b));
  const VU mask = hn::BitCast(kU, hn::VecFromMask(kI, less));
  return hn::And(Opaque(mask), value);
}

HWY_INLINE VF HalfToFloat(Vec16 narrow) {
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
  VU bits =
      hn::BitCast(kU, hn::Sub(hn::BitCast(kF, raised), hn::BitCast(kF, least)));
  // Infinity and NaN, all of whose exponent's bits are set.
  const VU largest = Constant(element::kHalfExponent - 1);
  bits = hn::Add(bits, IfLess(largest, shifted, step));
  const VU infinity = Constant(element::kHalfExponent);
  bits = hn::Or(bits, IfLess(infinity, shifted, Constant(0x00400000u)));
  return hn::BitCast(kF, hn::Or(bits, sign));
}

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

HWY_INLINE VF BFloat16ToFloat(Vec16 bits) {
  return hn::BitCast(kF, hn::ShiftLeft<16>(hn::PromoteTo(kU, bits)));
}

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

// Elements of 16 bits in a cache line, and how far ahead to ask for one.
constexpr size_t kLine = 32;
constexpr size_t kAhead = 2048;

template <VF (*kConvert)(Vec16)>
bool Widen(const uint8_t* src, size_t count, float* dst) {
  const VU infinity = Constant(element::kInfinity);
  // Of the exponents; as signed numbers, which they are as well.
  auto largest = hn::Zero(kI);
  const auto widen = [&](const uint8_t* from, float* to) HWY_ATTR {
    const VF value = kConvert(LoadFrom(kU16, from));
    hn::StoreU(value, kF, to);
    const VU exponent = hn::And(hn::BitCast(kU, value), infinity);
    largest = hn::Max(largest, hn::BitCast(kI, exponent));
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
  return hn::AllFalse(kI, hn::Eq(largest, hn::BitCast(kI, infinity)));
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

// -------------------------------------------------------------- statistics --

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
      hwy::Prefetch(values + j + kAhead / 2);
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
  constexpr hn::Half<hn::Half<F>> kQuarter;
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

// ------------------------------------------------------------------ levels --

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

// Vectors of floats to levels and back, one class for each LevelKind. Round
// takes any number to the nearest level, Load gives the numbers of bytes.

// int8_t and uint8_t: the whole numbers of a grid.
template <typename Byte>
class WholeLevels {
 public:
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

class E4M3Levels {
 public:
  explicit HWY_INLINE E4M3Levels(const LevelGrid&) {}

  static HWY_INLINE Level Round(VF x) {
    const VU bits = hn::BitCast(kU, x);
    const VU sign = hn::And(hn::ShiftRight<24>(bits), Constant(0x80u));
    VU magnitude = hn::And(bits, Constant(0x7fffffffu));
    // As signed numbers, which they are as well.
    magnitude = hn::BitCast(
        kU, hn::Min(hn::BitCast(kI, magnitude),
                    hn::BitCast(kI, Constant(element::kE4M3Largest))));
    const VU odd = hn::And(hn::ShiftRight<20>(magnitude), Constant(1));
    const VU normal = hn::ShiftRight<20>(hn::Add(
        hn::Add(magnitude, odd), Constant(0x7ffffu - element::kE4M3BiasStep)));
    const VU magic = Constant(element::kE4M3Magic);
    const VU subnormal = hn::Sub(
        hn::BitCast(
            kU, hn::Add(hn::BitCast(kF, magnitude), hn::BitCast(kF, magic))),
        magic);
    const VU code = hn::Or(
        sign, SelectLess(magnitude, Constant(element::kE4M3SmallestNormal),
                         subnormal, normal));
    return {code, NumberOf(code)};
  }

  static HWY_INLINE VF Load(const uint8_t* from) {
    return NumberOf(hn::PromoteTo(kU, LoadFrom(kU8, from)));
  }

 private:
  static HWY_INLINE VF NumberOf(VU code) {
    const VU sign = hn::ShiftLeft<24>(hn::And(code, Constant(0x80u)));
    const VU shifted = hn::ShiftLeft<20>(hn::And(code, Constant(0x7fu)));
    VU bits = hn::Add(shifted, Constant(element::kE4M3BiasStep));
    const VU least = Constant(element::kE4M3SmallestNormal);
    const VF subnormal = hn::Sub(hn::BitCast(kF, hn::Add(shifted, least)),
                                 hn::BitCast(kF, least));
    bits = SelectLess(shifted, Constant(1u << 23), hn::BitCast(kU, subnormal),
                      bits);
    bits = SelectLess(Constant(element::kE4M3Largest20), shifted,
                      Constant(element::kQuietNan), bits);
    return hn::BitCast(kF, hn::Or(bits, sign));
  }
};

// In the place of ErrorLanes where nobody asks for errors.
struct NoErrors {
  HWY_INLINE void Add(size_t, VF, VF) {}
};

// Rounds a run. `position` counts from the level 0; `value` is that of a
// number.
template <typename Levels, typename Errors, typename Position, typename Value>
HWY_INLINE void RoundRun(const Levels& as_levels, const float* values,
                         size_t count, uint8_t* levels, Errors& errors,
                         Position position, Value value) {
  const auto round = [&](size_t v, const float* from) HWY_ATTR {
    const VF x = hn::LoadU(kF, from + v * kVector);
    const Level level = as_levels.Round(position(x));
    errors.Add(v % kVectors, x, value(level.number));
    return level.byte;
  };
  const auto round_lanes = [&](const float* from, uint8_t* to) HWY_ATTR {
    for (size_t v = 0; v < kVectors; ++v) {
      StoreBytes(round(v, from), to + v * kVector);
    }
  };
  size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    const float* from = values + i;
    const VU a = round(0, from);
    const VU b = round(1, from);
    const VU c = round(2, from);
    const VU d = round(3, from);
    StoreBytes(a, b, c, d, levels + i);
  }
  for (; i + kLanes <= count; i += kLanes) round_lanes(values + i, levels + i);
  if (i == count) return;
  // What is added is 0, which every grid holds: no errors.
  float rest[kLanes] = {};
  uint8_t out[kLanes];
  std::memcpy(rest, values + i, sizeof(float) * (count - i));
  round_lanes(rest, out);
  std::memcpy(levels + i, out, count - i);
}

template <typename Levels, typename Errors>
HWY_INLINE void RoundRuns(const LevelGrid& grid, const QParams* params,
                          size_t run, size_t in_run, const float* values,
                          size_t count, uint8_t* levels, Errors& errors) {
  const Levels as_levels(grid);
  const bool divide = grid.convention == Convention::kCompressedTensors;
  for (size_t begin = 0; begin < count; ++params) {
    const size_t size = std::min(run - in_run, count - begin);
    const float* in = values + begin;
    uint8_t* out = levels + begin;
    begin += size;
    in_run = 0;
    const VF zero = hn::Set(kF, static_cast<float>(params->zero_point));
    const VF scale = hn::Set(kF, params->scale);
    const VF inverse = hn::Set(kF, 1.0f / params->scale);
    const auto round = [&](auto position, auto value) HWY_ATTR {
      RoundRun(as_levels, in, size, out, errors, position, value);
    };
    // Neither adds nor subtracts a zero point of 0, which changes no number.
    const auto about_0 = [=](VF x) HWY_ATTR { return hn::Mul(x, scale); };
    const auto about_zero = [=](VF x) HWY_ATTR {
      return hn::Mul(hn::Sub(x, zero), scale);
    };
    if (divide && params->zero_point != 0) {
      round([=](VF x) HWY_ATTR { return hn::Add(hn::Div(x, scale), zero); },
            about_zero);
    } else if (divide) {
      round([=](VF x) HWY_ATTR { return hn::Div(x, scale); }, about_0);
    } else if (params->zero_point != 0) {
      round([=](VF x) HWY_ATTR { return hn::Add(hn::Mul(x, inverse), zero); },
            about_zero);
    } else {
      round([=](VF x) HWY_ATTR { return hn::Mul(x, inverse); }, about_0);
    }
  }
}

// A product and a sum rounded once, in double, which vectors do not speed up by
// much.
bool NeedsDouble(const LevelGrid& grid, const QParams* params, size_t run,
                 size_t in_run, size_t count) {
  if (!grid.fused_add || count == 0) return false;
  const size_t runs = (in_run + count - 1) / run + 1;
  return std::any_of(params, params + runs,
                     [](const QParams& p) { return p.zero_point != 0; });
}

void RoundToLevels(const LevelGrid& grid, const QParams* params, size_t run,
                   const float* values, size_t count, uint8_t* levels) {
  if (NeedsDouble(grid, params, run, 0, count)) {
    return kScalarKernels.round_to_levels(grid, params, run, values, count,
                                          levels);
  }
  NoErrors errors;
  switch (grid.kind) {
    case LevelKind::kSigned:
      return RoundRuns<WholeLevels<int8_t>>(grid, params, run, 0, values, count,
                                            levels, errors);
    case LevelKind::kUnsigned:
      return RoundRuns<WholeLevels<uint8_t>>(grid, params, run, 0, values,
                                             count, levels, errors);
    case LevelKind::kE4M3:
      return RoundRuns<E4M3Levels>(grid, params, run, 0, values, count, levels,
                                   errors);
  }
}

template <typename Levels>
bool RoundAndAdd(const LevelGrid& grid, const QParams* params, size_t run,
                 size_t in_run, const float* values, size_t count,
                 uint8_t* levels, ErrorSums* sums) {
  ErrorLanes<false> errors;
  RoundRuns<Levels>(grid, params, run, in_run, values, count, levels, errors);
  return errors.Finish(sums);
}

bool RoundAndAddErrors(const LevelGrid& grid, const QParams* params, size_t run,
                       size_t in_run, const float* values, size_t count,
                       uint8_t* levels, ErrorSums* sums) {
  if (NeedsDouble(grid, params, run, in_run, count)) {
    return kScalarKernels.round_and_add_errors(grid, params, run, in_run,
                                               values, count, levels, sums);
  }
  switch (grid.kind) {
    case LevelKind::kSigned:
      return RoundAndAdd<WholeLevels<int8_t>>(grid, params, run, in_run, values,
                                              count, levels, sums);
    case LevelKind::kUnsigned:
      return RoundAndAdd<WholeLevels<uint8_t>>(grid, params, run, in_run,
                                               values, count, levels, sums);
    case LevelKind::kE4M3:
      return RoundAndAdd<E4M3Levels>(grid, params, run, in_run, values, count,
                                     levels, sums);
  }
  return false;
}

template <typename Levels>
void RunsToValues(const QParams* params, size_t run, const uint8_t* levels,
                  size_t count, float* values) {
  for (size_t begin = 0; begin < count; begin += run, ++params) {
    const size_t size = std::min(run, count - begin);
    const uint8_t* in = levels + begin;
    float* out = values + begin;
    const VF zero = hn::Set(kF, static_cast<float>(params->zero_point));
    const VF scale = hn::Set(kF, params->scale);
    const auto convert = [&](const uint8_t* from, float* to) HWY_ATTR {
      hn::StoreU(hn::Mul(hn::Sub(Levels::Load(from), zero), scale), kF, to);
    };
    size_t i = 0;
    for (; i + kVector <= size; i += kVector) convert(in + i, out + i);
    if (i == size) continue;
    uint8_t rest[kVector] = {};
    float rest_out[kVector];
    std::memcpy(rest, in + i, size - i);
    convert(rest, rest_out);
    std::memcpy(out + i, rest_out, sizeof(float) * (size - i));
  }
}

void LevelsToValues(LevelKind kind, const QParams* params, size_t run,
                    const uint8_t* levels, size_t count, float* values) {
  switch (kind) {
    case LevelKind::kSigned:
      return RunsToValues<WholeLevels<int8_t>>(params, run, levels, count,
                                               values);
    case LevelKind::kUnsigned:
      return RunsToValues<WholeLevels<uint8_t>>(params, run, levels, count,
                                                values);
    case LevelKind::kE4M3:
      return RunsToValues<E4M3Levels>(params, run, levels, count, values);
  }
}

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

const Kernels* Table() {
#if HWY_TARGET == HWY_AVX3
  constexpr absl::string_view kName = "avx512";
#elif HWY_TARGET == HWY_AVX2
  constexpr absl::string_view kName = "avx2";
#elif HWY_TARGET == HWY_SSE4
  constexpr absl::string_view kName = "sse4";
#elif HWY_TARGET == HWY_WASM
  constexpr absl::string_view kName = "wasm128";
#elif HWY_TARGET == HWY_NEON
  constexpr absl::string_view kName = "neon";
#else
  constexpr absl::string_view kName = "";
#endif
  static constexpr Kernels kTable = {
      kName,
      Widen<HalfToFloat>,
      Widen<BFloat16ToFloat>,
      Narrow<FloatToHalf>,
      Narrow<FloatToBFloat16>,
      CountNonfinite,
      ExtendRanges,
      RoundToLevels,
      LevelsToValues,
      PackNibbles,
      UnpackNibbles,
      AddErrors,
      RoundAndAddErrors,
  };
  return &kTable;
}

}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // HWY_TARGET

#if HWY_ONCE
namespace monoquant {
namespace {

[[maybe_unused]] bool HasAvx512() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx512f") &&
         __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd");
#else
  return false;
#endif
}

// Of the processors with AVX2 all but a few early designs have the rest of what
// Highway's target takes.
[[maybe_unused]] bool HasAvx2() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

[[maybe_unused]] bool HasSse4() {
#if HWY_ARCH_X86
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") &&
         __builtin_cpu_supports("aes");
#else
  return false;
#endif
}

}  // namespace

size_t FindSimdKernels(const Kernels* (&tables)[kMaxSimdTables + 1]) {
  size_t found = 0;
#if HWY_TARGETS & HWY_AVX3
  if (HasAvx512()) tables[found++] = N_AVX3::Table();
#endif
#if HWY_TARGETS & HWY_AVX2
  if (HasAvx2()) tables[found++] = N_AVX2::Table();
#endif
#if HWY_TARGETS & HWY_SSE4
  if (HasSse4()) tables[found++] = N_SSE4::Table();
#endif
#if HWY_TARGETS & HWY_NEON
  tables[found++] = N_NEON::Table();
#endif
#if HWY_TARGETS & HWY_WASM
  tables[found++] = N_WASM::Table();
#endif
  return found;
}

}  // namespace monoquant
#endif  // HWY_ONCE
