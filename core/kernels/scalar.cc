// The reference kernels: plain loops over core/kernels/element.h.

#include <algorithm>
#include <cmath>

#include "core/kernels/codebooks.h"
#include "core/kernels/element.h"
#include "core/kernels/error_block.h"
#include "core/kernels/kernels.h"
#include "core/kernels/llm_int8.h"
#include "core/kernels/small_floats.h"

namespace monoquant {
namespace {

// Applies `convert` to `count` elements of type From at `src`.
template <typename From, typename To, typename Convert>
void ConvertAll(const void* src, size_t count, void* dst, Convert convert) {
  const uint8_t* in = static_cast<const uint8_t*>(src);
  uint8_t* out = static_cast<uint8_t*>(dst);
  for (size_t i = 0; i < count; ++i) {
    From from;
    std::memcpy(&from, in + i * sizeof(From), sizeof(from));
    const To to = convert(from);
    std::memcpy(out + i * sizeof(To), &to, sizeof(to));
  }
}

void FloatToHalf(const float* src, size_t count, uint8_t* dst) {
  ConvertAll<float, uint16_t>(src, count, dst, element::ToHalf);
}

void FloatToBFloat16(const float* src, size_t count, uint8_t* dst) {
  ConvertAll<float, uint16_t>(src, count, dst, element::ToBFloat16);
}

size_t CountNonfinite(const float* values, size_t count) {
  size_t found = 0;
  for (size_t i = 0; i < count; ++i) found += element::IsNonfinite(values[i]);
  return found;
}

bool HalfToFloat(const uint8_t* src, size_t count, float* dst) {
  ConvertAll<uint16_t, float>(src, count, dst, element::FromHalf);
  return CountNonfinite(dst, count) == 0;
}

bool BFloat16ToFloat(const uint8_t* src, size_t count, float* dst) {
  ConvertAll<uint16_t, float>(src, count, dst, element::FromBFloat16);
  return CountNonfinite(dst, count) == 0;
}

void ExtendRanges(const float* values, size_t count, size_t run,
                  ValueRange* ranges) {
  for (size_t begin = 0; begin < count; begin += run, ++ranges) {
    const size_t end = std::min(count, begin + run);
    for (size_t i = begin; i < end; ++i) {
      ranges->min = std::min(ranges->min, values[i]);
      ranges->max = std::max(ranges->max, values[i]);
    }
  }
}

// Position counts from the level 0.
template <typename Position>
void RoundRun(const LevelGrid& grid, const float* values, size_t count,
              uint8_t* levels, Position position) {
  const auto round = [&](auto level) {
    for (size_t i = 0; i < count; ++i) levels[i] = level(position(values[i]));
  };
  switch (grid.kind) {
    case LevelKind::kSigned:
    case LevelKind::kUnsigned:
    case LevelKind::kLlmInt8: {
      const float qmin = static_cast<float>(grid.qmin);
      const float qmax = static_cast<float>(grid.qmax);
      return round([=](float x) {
        return static_cast<uint8_t>(element::RoundToLevel(x, qmin, qmax));
      });
    }
    case LevelKind::kE4M3:
      return round(element::E4M3::ToCode);
    case LevelKind::kE5M2:
      return round(element::E5M2::ToCode);
    case LevelKind::kE2M1:
      return round(element::E2M1::ToCode);
    case LevelKind::kNf4:
      return round(element::NearestCode<element::Nf4>);
    case LevelKind::kFp4:
      return round(element::NearestCode<element::Fp4>);
  }
}

void RoundToLevels(const LevelGrid& grid, const QParams* params, size_t run,
                   const float* values, size_t count, uint8_t* levels) {
  for (size_t begin = 0; begin < count; begin += run, ++params) {
    const size_t size = std::min(run, count - begin);
    const float* in = values + begin;
    uint8_t* out = levels + begin;
    const float zero = static_cast<float>(params->zero_point);
    const float scale = params->scale;
    const float inverse = element::Multiplier(grid.kind, scale);
    if (grid.convention == Convention::kCompressedTensors) {
      // Without the addition a -0 keeps its sign, where a level can have one.
      if (params->zero_point == 0) {
        RoundRun(grid, in, size, out, [=](float x) { return x / scale; });
      } else {
        RoundRun(grid, in, size, out,
                 [=](float x) { return x / scale + zero; });
      }
    } else if (grid.fused_add && params->zero_point != 0) {
      RoundRun(grid, in, size, out, [=](float x) {
        return element::FusedMultiplyAdd(x, inverse, zero);
      });
    } else {
      RoundRun(grid, in, size, out,
               [=](float x) { return x * inverse + zero; });
    }
  }
}

// `number` tells which number a byte is.
template <typename Number>
void RunsToValues(const QParams* params, size_t run, const uint8_t* levels,
                  size_t count, float* values, Number number) {
  for (size_t begin = 0; begin < count; begin += run, ++params) {
    const size_t end = std::min(count, begin + run);
    const float zero = static_cast<float>(params->zero_point);
    for (size_t i = begin; i < end; ++i) {
      values[i] = (number(levels[i]) - zero) * params->scale;
    }
  }
}

void LevelsToValues(LevelKind kind, const QParams* params, size_t run,
                    const uint8_t* levels, size_t count, float* values) {
  switch (kind) {
    case LevelKind::kSigned:
      return RunsToValues(params, run, levels, count, values, [](uint8_t byte) {
        return static_cast<float>(static_cast<int8_t>(byte));
      });
    case LevelKind::kUnsigned:
      return RunsToValues(params, run, levels, count, values, [](uint8_t byte) {
        return static_cast<float>(byte);
      });
    case LevelKind::kE4M3:
      return RunsToValues(params, run, levels, count, values,
                          element::E4M3::FromCode);
    case LevelKind::kE5M2:
      return RunsToValues(params, run, levels, count, values,
                          element::E5M2::FromCode);
    case LevelKind::kE2M1:
      return RunsToValues(params, run, levels, count, values,
                          element::E2M1::FromCode);
    case LevelKind::kNf4:
      return RunsToValues(params, run, levels, count, values,
                          element::NumberOf<element::Nf4>);
    case LevelKind::kFp4:
      return RunsToValues(params, run, levels, count, values,
                          element::NumberOf<element::Fp4>);
    case LevelKind::kLlmInt8:
      LevelsToValues(LevelKind::kSigned, params, run, levels, count, values);
      for (size_t i = 0; i < count; ++i) values[i] *= element::kLlmInt8Step;
      return;
  }
}

void PackNibbles(const uint8_t* levels, size_t count, uint8_t* bytes) {
  for (size_t i = 0; i < count; i += 2) {
    bytes[i / 2] =
        static_cast<uint8_t>((levels[i] & 15u) | (levels[i + 1] & 15u) << 4);
  }
}

void UnpackNibbles(const uint8_t* bytes, size_t count, bool is_signed,
                   uint8_t* levels) {
  const uint32_t sign = is_signed ? 8u : 0u;
  for (size_t i = 0; i < count; i += 2) {
    const uint32_t byte = bytes[i / 2];
    levels[i] = static_cast<uint8_t>(((byte & 15u) ^ sign) - sign);
    levels[i + 1] = static_cast<uint8_t>(((byte >> 4) ^ sign) - sign);
  }
}

ErrorBlock ErrorsOf(const float* a, const float* b, size_t count) {
  ErrorBlock block;
  for (size_t i = 0; i < count; ++i) {
    const size_t lane = i % kLanes;
    const float error = a[i] - b[i];
    const float magnitude = std::fabs(error);
    block.aa[lane] += a[i] * a[i];
    block.ab[lane] += a[i] * b[i];
    block.bb[lane] += b[i] * b[i];
    block.ee[lane] += error * error;
    block.max[lane] = magnitude > block.max[lane] ? magnitude : block.max[lane];
  }
  return block;
}

bool AddErrors(const float* a, const float* b, size_t count, ErrorSums* sums) {
  return AddBlock(ErrorsOf(a, b, count), sums);
}

bool RoundAndAddErrors(const LevelGrid& grid, const QParams* params, size_t run,
                       size_t in_run, const float* values, size_t count,
                       uint8_t* levels, ErrorSums* sums) {
  float decoded[kErrorBlock];
  for (size_t begin = 0; begin < count; ++params) {
    const size_t size = std::min(run - in_run, count - begin);
    RoundToLevels(grid, params, size, values + begin, size, levels + begin);
    LevelsToValues(grid.kind, params, size, levels + begin, size,
                   decoded + begin);
    begin += size;
    in_run = 0;
  }
  ErrorBlock block = ErrorsOf(values, decoded, count);
  DeriveProducts(block);
  return AddBlock(block, sums);
}

}  // namespace

const Kernels kScalarKernels = {
    "scalar",          HalfToFloat,    BFloat16ToFloat, FloatToHalf,
    FloatToBFloat16,   CountNonfinite, ExtendRanges,    RoundToLevels,
    LevelsToValues,    PackNibbles,    UnpackNibbles,   AddErrors,
    RoundAndAddErrors,
};

}  // namespace monoquant
