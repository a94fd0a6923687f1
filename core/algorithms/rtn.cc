#include "core/algorithms/rtn.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace monoquant {
namespace {

// Any bound that is beyond all levels and within the range of RoundToEven.
constexpr float kBound = 1024;

// Brings any float, NaN included, into -kBound .. kBound. What is beyond is
// beyond all levels and is clamped anyway.
inline float Bound(float x) {
  x = x > -kBound ? x : -kBound;
  return x < kBound ? x : kBound;
}

// std::nearbyint for |x| <= 2^22, as two additions that compilers can turn into
// vector code: the sum has no bits left below 1, so the addition itself rounds,
// to nearest even. (Not for use with -ffast-math.)
inline float RoundToEven(float x) {
  constexpr float kMagic = 0x1.8p23f;
  return (x + kMagic) - kMagic;
}

inline float Clamp(float x, float min, float max) {
  x = x > min ? x : min;
  return x < max ? x : max;
}

// The float nearest to a * b + c. What std::fma gives, but the same on machines
// without the instruction, and without a call.
inline float FusedMultiplyAdd(float a, float b, float c) {
  // Exact: 24 bits times 24 bits.
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  double sum = product + addend;
  // The error of that sum, exactly.
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  // Rounding twice, to 53 and to 24 bits, goes wrong where the first rounding
  // hits the middle between two floats. So make the first one round to odd: a
  // sum that is not exact never ends in 0.
  uint64_t bits;
  std::memcpy(&bits, &sum, sizeof(bits));
  if (error != 0 && bits % 2 == 0) {
    bits += (error > 0) == (sum > 0) ? 1 : -1;
    std::memcpy(&sum, &bits, sizeof(bits));
  }
  return static_cast<float>(sum);
}

// levels[i] = the level nearest to position(values[i]), which counts from the
// level 0.
template <typename Position>
void RoundAll(const IntegerGrid& grid, const float* values, size_t count,
              float* levels, Position position) {
  const float qmin = static_cast<float>(grid.qmin);
  const float qmax = static_cast<float>(grid.qmax);
  for (size_t i = 0; i < count; ++i) {
    levels[i] = Clamp(RoundToEven(Bound(position(values[i]))), qmin, qmax);
  }
}

void QuantizeRun(const IntegerGrid& grid, const QParams& params,
                 const float* values, size_t count, float* levels) {
  const float zero = static_cast<float>(params.zero_point);
  const float scale = params.scale;
  const float inverse = 1.0f / scale;
  if (grid.convention == Convention::kCompressedTensors) {
    RoundAll(grid, values, count, levels,
             [=](float x) { return x / scale + zero; });
  } else if (grid.fused_add && params.zero_point != 0) {
    RoundAll(grid, values, count, levels,
             [=](float x) { return FusedMultiplyAdd(x, inverse, zero); });
  } else {
    RoundAll(grid, values, count, levels,
             [=](float x) { return x * inverse + zero; });
  }
}

void Quantize(const IntegerGrid& grid, absl::Span<const QParams> params,
              size_t run, absl::Span<const float> values,
              absl::Span<float> levels) {
  size_t begin = 0;
  for (const QParams& p : params) {
    const size_t count = std::min(run, values.size() - begin);
    QuantizeRun(grid, p, values.data() + begin, count, levels.data() + begin);
    begin += count;
  }
}

}  // namespace

const AlgorithmRow kRoundToNearest = {"rtn", "round to nearest, ties to even",
                                      Quantize};

}  // namespace monoquant
