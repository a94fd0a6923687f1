#include "core/algorithms/rtn.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "core/error_stats.h"
#include "core/kernels/kernels.h"
#include "core/qparams.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using testing::Random;

constexpr Convention kTorch = Convention::kTorch;
constexpr Convention kCt = Convention::kCompressedTensors;

LevelGrid WholeNumbers(int32_t qmin, int32_t qmax, bool symmetric,
                       Convention convention, bool fused_add = false) {
  return {qmin < 0 ? LevelKind::kSigned : LevelKind::kUnsigned,
          qmin,
          qmax,
          symmetric,
          convention,
          fused_add};
}

// The formulas of docs/quantization.md as they stand, with the C library's
// functions.
float Reference(const LevelGrid& grid, const QParams& p, float x) {
  const float zero = static_cast<float>(p.zero_point);
  const float inverse = 1.0f / p.scale;
  float level;
  if (grid.convention == kCt) {
    level = std::nearbyint(x / p.scale + zero);
  } else if (grid.fused_add) {
    level = std::nearbyint(std::fma(x, inverse, zero));
  } else {
    const float product = x * inverse;
    level = std::nearbyint(product + zero);
  }
  return std::min(std::max(level, static_cast<float>(grid.qmin)),
                  static_cast<float>(grid.qmax));
}

// The levels of `values` as numbers.
std::vector<float> Quantize(const LevelGrid& grid,
                            absl::Span<const QParams> params, size_t run,
                            const std::vector<float>& values) {
  std::vector<uint8_t> bytes(values.size());
  kRoundToNearest.quantize(grid, params, run, values, absl::MakeSpan(bytes),
                           /*errors=*/nullptr);
  std::vector<float> levels;
  for (uint8_t byte : bytes) {
    levels.push_back(grid.kind == LevelKind::kSigned
                         ? static_cast<float>(static_cast<int8_t>(byte))
                         : static_cast<float>(byte));
  }
  return levels;
}

float Quantize(const LevelGrid& grid, const QParams& p, float x) {
  return Quantize(grid, {&p, 1}, 1, {x})[0];
}

TEST(RtnTest, TiesGoToEven) {
  const LevelGrid grid = WholeNumbers(-8, 7, true, kTorch);
  const float values[] = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f};
  const float expected[] = {-2, -2, 0, 0, 2, 2};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Quantize(grid, {1, 0}, values[i]), expected[i]);
    // With an odd zero point the even level is another one.
    EXPECT_EQ(Quantize(grid, {1, 1}, values[i]), std::nearbyint(values[i] + 1));
  }
}

// Codes that torch 2.13 (quantize_per_tensor and quantize_per_channel, qint8)
// and compressed-tensors 0.20 give with scale 0.1 and zero point 1, for values
// next to the middle of two levels.
TEST(RtnTest, WhereThePeersDiffer) {
  const struct {
    float value;
    float per_tensor, per_channel, compressed_tensors;
  } cases[] = {
      {0x1.999996p-5f, 1, 2, 2},     {-0x1.333334p-3f, -1, 0, 0},
      {0x1.800002p-1f, 9, 8, 8},     {-0x1.b33332p-1f, -7, -8, -7},
      {-0x1.4cccccp-1f, -6, -6, -5}, {0x1.4cccccp-1f, 8, 8, 7},
  };
  const QParams p = {0.1f, 1};
  for (const auto& c : cases) {
    EXPECT_EQ(
        Quantize(WholeNumbers(-128, 127, false, kTorch, true), p, c.value),
        c.per_tensor);
    EXPECT_EQ(
        Quantize(WholeNumbers(-128, 127, false, kTorch, false), p, c.value),
        c.per_channel);
    EXPECT_EQ(Quantize(WholeNumbers(-128, 127, false, kCt, false), p, c.value),
              c.compressed_tensors);
  }
}

// Millions of values on, and a few steps of float around, the middle of two
// levels, where the order of roundings decides.
TEST(RtnTest, EqualsTheFormulas) {
  Random random(11);
  constexpr size_t kCount = 400;
  int fused_differs = 0;
  for (int round = 0; round < 1000; ++round) {
    const int bits = random.Below(2) == 0 ? 4 : 8;
    const int32_t levels = 1 << bits;
    const int32_t qmin = random.Below(2) == 0 ? 0 : -levels / 2;
    const int32_t zero = random.Below(4) == 0
                             ? 0
                             : qmin + static_cast<int32_t>(random.Below(
                                          static_cast<uint64_t>(levels)));
    const QParams p = {std::exp2(random.Uniform(-20, 4)), zero};
    std::vector<float> values(kCount);
    for (float& value : values) {
      const float level =
          static_cast<float>(random.Below(static_cast<uint64_t>(levels) + 8)) -
          3.5f + static_cast<float>(qmin - zero);
      value = level * p.scale;
      for (uint64_t step = random.Below(4); step > 0; --step) {
        value = std::nextafter(value, random.Below(2) == 0 ? -1e30f : 1e30f);
      }
    }
    std::vector<std::vector<float>> results;
    for (const auto& [convention, fused] :
         {std::pair(kTorch, false), std::pair(kTorch, true),
          std::pair(kCt, false)}) {
      const LevelGrid grid =
          WholeNumbers(qmin, qmin + levels - 1, false, convention, fused);
      results.push_back(Quantize(grid, {&p, 1}, kCount, values));
      for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(results.back()[i], Reference(grid, p, values[i]))
            << values[i] << " / " << p.scale << " + " << zero << " fused "
            << fused;
      }
    }
    fused_differs += results[0] != results[1] ? 1 : 0;
  }
  // The test would mean little if the variants could not be told apart.
  EXPECT_GT(fused_differs, 50);
}

// What a level stands for is rounded back to that level: for all levels, all
// zero points and many scales.
TEST(RtnTest, DecodedLevelsComeBack) {
  Random random(13);
  for (const auto& [qmin, qmax] : {std::pair(-128, 127), std::pair(0, 255),
                                   std::pair(-8, 7), std::pair(0, 15)}) {
    std::vector<float> levels;
    for (int32_t q = qmin; q <= qmax; ++q) {
      levels.push_back(static_cast<float>(q));
    }
    for (int32_t zero = qmin; zero <= qmax; ++zero) {
      for (int i = 0; i < 20; ++i) {
        const QParams p = {
            random.Uniform(1, 2) * std::exp2(random.Uniform(-22, 100)), zero};
        std::vector<float> values;
        for (float level : levels) {
          values.push_back((level - static_cast<float>(zero)) * p.scale);
        }
        for (const auto& [convention, fused] :
             {std::pair(kTorch, false), std::pair(kTorch, true),
              std::pair(kCt, false)}) {
          const LevelGrid grid =
              WholeNumbers(qmin, qmax, false, convention, fused);
          ASSERT_EQ(Quantize(grid, {&p, 1}, levels.size(), values), levels)
              << p.scale << " " << p.zero_point;
        }
      }
    }
  }
}

// The same for the other formats, -0 of FP8 included: nothing is lost in a
// second run but infinity, NaN, which one of two zeros there was, and what is
// below the lowest level.
TEST(RtnTest, DecodedCodesComeBack) {
  const struct {
    LevelKind kind;
    Convention convention;
    int codes;
    std::vector<int> lost;
  } formats[] = {{LevelKind::kE4M3, kCt, 256, {0x7f, 0xff}},
                 {LevelKind::kE5M2,
                  kCt,
                  256,
                  {0x7c, 0x7d, 0x7e, 0x7f, 0xfc, 0xfd, 0xfe, 0xff}},
                 {LevelKind::kE2M1, kCt, 16, {8}},
                 {LevelKind::kNf4, kTorch, 16, {}},
                 {LevelKind::kFp4, kTorch, 16, {8}},
                 {LevelKind::kLlmInt8, kTorch, 256, {128}}};
  for (const auto& format : formats) {
    // Of numbers that are whole the grid has the ends.
    const int32_t end = format.kind == LevelKind::kLlmInt8 ? 127 : 1;
    const LevelGrid grid = {format.kind,       -end, end, true,
                            format.convention, false};
    Random random(14);
    std::vector<uint8_t> levels;
    for (int level = 0; level < format.codes; ++level) {
      if (std::find(format.lost.begin(), format.lost.end(), level) ==
          format.lost.end()) {
        levels.push_back(static_cast<uint8_t>(level));
      }
    }
    std::vector<float> values(levels.size());
    std::vector<uint8_t> found(levels.size());
    for (int i = 0; i < 2000; ++i) {
      const QParams p = {
          random.Uniform(1, 2) * std::exp2(random.Uniform(-100, 100)), 0};
      kScalarKernels.levels_to_values(grid.kind, &p, levels.size(),
                                      levels.data(), levels.size(),
                                      values.data());
      kRoundToNearest.quantize(grid, {&p, 1}, levels.size(), values,
                               absl::MakeSpan(found), /*errors=*/nullptr);
      ASSERT_EQ(found, levels) << p.scale;
    }
  }
}

// In runs that fit the kernels' lanes and that do not, with values that sums in
// float do for and some that they do not: always the errors of the levels.
TEST(RtnTest, ErrorsAreThoseOfTheLevels) {
  Random random(3);
  const LevelGrid grid = WholeNumbers(-8, 7, false, kTorch);
  for (size_t count : {1u, 15u, 2048u, 2049u, 5000u}) {
    for (size_t run : {size_t{1}, size_t{7}, size_t{16}, size_t{100},
                       size_t{128}, size_t{3000}, count}) {
      for (bool large : {false, true}) {
        std::vector<QParams> params(count / run + 1);
        for (QParams& p : params) {
          p = {random.Uniform(0.1f, 0.2f),
               static_cast<int32_t>(random.Below(5))};
        }
        std::vector<float> values(count);
        for (float& value : values) value = random.Uniform(-1.5, 1);
        if (large) values[count / 2] = 1e30f;
        std::vector<uint8_t> levels(count);
        ErrorStats errors;
        kRoundToNearest.quantize(grid, params, run, values,
                                 absl::MakeSpan(levels), &errors);
        std::vector<uint8_t> without(count);
        kRoundToNearest.quantize(grid, params, run, values,
                                 absl::MakeSpan(without), /*errors=*/nullptr);
        ASSERT_EQ(levels, without);
        std::vector<float> decoded(count);
        kScalarKernels.levels_to_values(grid.kind, params.data(), run,
                                        levels.data(), count, decoded.data());
        ErrorStats expected;
        expected.Add(values, decoded);
        SCOPED_TRACE(::testing::Message()
                     << count << " " << run << " " << large);
        EXPECT_EQ(errors.count(), count);
        EXPECT_EQ(errors.nonfinite(), 0u);
        EXPECT_NEAR(errors.Mse() / expected.Mse(), 1, 1e-6);
        EXPECT_NEAR(errors.Cosine(), expected.Cosine(), 1e-6);
        EXPECT_EQ(errors.MaxAbsError(), expected.MaxAbsError());
      }
    }
  }
}

// Any value gives a level; a job keeps NaN and infinity away from here, but
// the division by a tiny scale may overflow.
TEST(RtnTest, EverythingIsClamped) {
  const float max = std::numeric_limits<float>::max();
  for (bool fused : {false, true}) {
    for (Convention convention : {kTorch, kCt}) {
      const LevelGrid grid = WholeNumbers(0, 15, false, convention, fused);
      const QParams p = {1e-38f, 3};
      for (float x : {max, 1e30f}) {
        EXPECT_EQ(Quantize(grid, p, x), 15);
        EXPECT_EQ(Quantize(grid, p, -x), 0);
      }
    }
  }
}

TEST(RtnTest, RunsHaveTheirParameters) {
  const std::vector<float> values =
      testing::Make(testing::Values::kRandom, 999);
  const LevelGrid grid = WholeNumbers(-8, 7, true, kTorch);
  for (size_t run : {1, 3, 32, 1000}) {
    const size_t runs = (values.size() - 1) / run + 1;
    std::vector<QParams> params(runs);
    for (size_t i = 0; i < runs; ++i) {
      params[i] = {0.01f + 0.001f * static_cast<float>(i),
                   static_cast<int32_t>(i % 15) - 7};
    }
    const std::vector<float> levels = Quantize(grid, params, run, values);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(levels[i], Reference(grid, params[i / run], values[i]));
    }
  }
}

}  // namespace
}  // namespace monoquant
