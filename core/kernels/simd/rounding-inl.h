// Values to levels, with or without their errors, and levels to values.

#if defined(MONOQUANT_CORE_KERNELS_SIMD_ROUNDING_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef MONOQUANT_CORE_KERNELS_SIMD_ROUNDING_INL_H_
#undef MONOQUANT_CORE_KERNELS_SIMD_ROUNDING_INL_H_
#else
#define MONOQUANT_CORE_KERNELS_SIMD_ROUNDING_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "core/kernels/element.h"
#include "core/kernels/kernels.h"
#include "core/kernels/llm_int8.h"
#include "core/kernels/simd/codebooks-inl.h"
#include "core/kernels/simd/errors-inl.h"
#include "core/kernels/simd/levels-inl.h"
#include "core/kernels/simd/vectors-inl.h"
#include "core/level_grid.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace monoquant {
namespace HWY_NAMESPACE {
namespace {

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
    [[maybe_unused]] const VF zero =
        hn::Set(kF, static_cast<float>(params->zero_point));
    const VF scale = hn::Set(kF, params->scale);
    const VF inverse =
        hn::Set(kF, element::Multiplier(grid.kind, params->scale));
    const auto round = [&](auto position, auto value) HWY_ATTR {
      RoundRun(as_levels, in, size, out, errors, position, value);
    };
    if (!Levels::kHasZeroPoints || params->zero_point == 0) {
      // Neither adds nor subtracts a zero point of 0, which changes no number.
      const auto value = [=](VF x)
                             HWY_ATTR { return ValuesOf<Levels>(x, scale); };
      if (divide) {
        round([=](VF x) HWY_ATTR { return hn::Div(x, scale); }, value);
      } else {
        round([=](VF x) HWY_ATTR { return hn::Mul(x, inverse); }, value);
      }
    } else if constexpr (Levels::kHasZeroPoints) {
      const auto value = [=](VF x) HWY_ATTR {
        return hn::Mul(hn::Sub(x, zero), scale);
      };
      if (divide) {
        round([=](VF x) HWY_ATTR { return hn::Add(hn::Div(x, scale), zero); },
              value);
      } else {
        round([=](VF x) HWY_ATTR { return hn::Add(hn::Mul(x, inverse), zero); },
              value);
      }
    }
  }
}

template <class Levels>
struct Type {
  using Of = Levels;
};

// Calls `use` with the Type of a kind's levels.
template <typename Use>
HWY_INLINE auto WithLevels(LevelKind kind, Use use) {
  switch (kind) {
    case LevelKind::kUnsigned:
      return use(Type<WholeLevels<uint8_t>>());
    case LevelKind::kE4M3:
      return use(Type<FloatLevels<element::E4M3>>());
    case LevelKind::kE5M2:
      return use(Type<FloatLevels<element::E5M2>>());
    case LevelKind::kE2M1:
      return use(Type<FloatLevels<element::E2M1>>());
    case LevelKind::kNf4:
      return use(Type<CodebookLevels<element::Nf4>>());
    case LevelKind::kFp4:
      return use(Type<CodebookLevels<element::Fp4>>());
    case LevelKind::kLlmInt8:
      return use(Type<WholeLevels<int8_t, /*kOfLlmInt8=*/true>>());
    case LevelKind::kSigned:
      break;
  }
  return use(Type<WholeLevels<int8_t>>());
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
  WithLevels(grid.kind, [&](auto type) HWY_ATTR {
    NoErrors errors;
    RoundRuns<typename decltype(type)::Of>(grid, params, run, 0, values, count,
                                           levels, errors);
  });
}

bool RoundAndAddErrors(const LevelGrid& grid, const QParams* params, size_t run,
                       size_t in_run, const float* values, size_t count,
                       uint8_t* levels, ErrorSums* sums) {
  if (NeedsDouble(grid, params, run, in_run, count)) {
    return kScalarKernels.round_and_add_errors(grid, params, run, in_run,
                                               values, count, levels, sums);
  }
  return WithLevels(grid.kind, [&](auto type) HWY_ATTR {
    ErrorLanes<false> errors;
    RoundRuns<typename decltype(type)::Of>(grid, params, run, in_run, values,
                                           count, levels, errors);
    return errors.Finish(sums);
  });
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
      const VF numbers = hn::Sub(Levels::Load(from), zero);
      hn::StoreU(ValuesOf<Levels>(numbers, scale), kF, to);
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
  WithLevels(kind, [&](auto type) HWY_ATTR {
    RunsToValues<typename decltype(type)::Of>(params, run, levels, count,
                                              values);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace monoquant
HWY_AFTER_NAMESPACE();

#endif  // MONOQUANT_CORE_KERNELS_SIMD_ROUNDING_INL_H_
