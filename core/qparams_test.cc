#include "core/qparams.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/kernels/element.h"
#include "core/kernels/small_floats.h"
#include "core/registry.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using testing::Random;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kEps = 0x1p-23f;
constexpr Convention kTorch = Convention::kTorch;
constexpr Convention kCt = Convention::kCompressedTensors;

LevelGrid Grid(NumberFormat format, bool symmetric, Convention convention) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.symmetric = symmetric;
  scheme.convention = convention;
  return GridOf(DefaultRegistry().GetCodec(format), scheme);
}

// What torch 2.13's observers and compressed-tensors 0.20 give for the same
// range, except in the rows that say so.
TEST(QParamsTest, KnownValues) {
  const NumberFormat i8 = NumberFormat::kInt8;
  const NumberFormat u8 = NumberFormat::kUInt8;
  const NumberFormat i4 = NumberFormat::kInt4;
  const NumberFormat u4 = NumberFormat::kUInt4;
  const NumberFormat f8 = NumberFormat::kFp8E4M3;
  const NumberFormat e5m2 = NumberFormat::kFp8E5M2;
  const NumberFormat e2m1 = NumberFormat::kFp4E2M1;
  const NumberFormat nf4 = NumberFormat::kNf4;
  const NumberFormat fp4 = NumberFormat::kFp4;
  const NumberFormat llm = NumberFormat::kLlmInt8;
  const struct {
    float min, max;
    NumberFormat format;
    bool symmetric;
    Convention convention;
    float scale;
    int32_t zero_point;
  } cases[] = {
      // All zero: the scale is not.
      {0, 0, i8, true, kTorch, kEps, 0},
      {0, 0, i8, false, kTorch, kEps, -128},
      {0, 0, u8, true, kTorch, kEps, 128},
      {0, 0, u8, false, kTorch, kEps, 0},
      {0, 0, i8, true, kCt, kEps, 0},
      {0, 0, i8, false, kCt, kEps, 0},
      {0, 0, i4, false, kCt, kEps, 0},
      {-0.0f, -0.0f, i8, false, kTorch, kEps, -128},
      // One value.
      {3, 3, i8, true, kTorch, 3 / 127.5f, 0},
      {3, 3, i8, false, kTorch, 3 / 255.0f, -128},
      {3, 3, u8, true, kTorch, 3 / 127.5f, 128},
      {3, 3, i4, true, kCt, 3 / 7.5f, 0},
      {3, 3, i4, false, kCt, 3 / 15.0f, -8},
      {-3, -3, i8, false, kTorch, 3 / 255.0f, 127},
      {-3, -3, u8, false, kTorch, 3 / 255.0f, 255},
      {-3, -3, i4, false, kCt, 3 / 15.0f, 7},
      // Smaller than epsilon: torch keeps its epsilon, the other goes on until
      // the scale is 0.
      {-2e-9f, 1e-9f, i8, true, kTorch, kEps, 0},
      {-2e-9f, 1e-9f, i8, true, kCt, 2e-9f / 127.5f, 0},
      {-2e-44f, 1e-44f, i4, true, kCt, 0x1p-148f, 0},
      {-2e-44f, 1e-44f, i4, false, kCt, 0x1p-149f, 6},
      {-2e-44f, 1e-44f, i8, false, kCt, kEps, 127},
      {0, 1e-45f, i8, false, kCt, kEps, 0},
      // FP8: the largest magnitude is 448, whatever else the scheme says.
      {0, 0, f8, true, kCt, kEps, 0},
      {-1, 3, f8, true, kTorch, 3 / 448.0f, 0},
      {-7, 3, f8, true, kCt, 7 / 448.0f, 0},
      {-7, 3, f8, false, kCt, 7 / 448.0f, 0},
      {-2e-9f, 1e-9f, f8, true, kTorch, 2e-9f / 448, 0},
      {0, 1e-45f, f8, true, kCt, kEps, 0},
      {-3e38f, kMax, f8, true, kCt, kMax / 448, 0},
      // The other floats: 57344 and 6.
      {0, 0, e5m2, true, kCt, kEps, 0},
      {-7, 3, e5m2, true, kCt, 7 / 57344.0f, 0},
      {0, 0, e2m1, true, kCt, kEps, 0},
      {-7, 3, e2m1, true, kTorch, 7 / 6.0f, 0},
      // bitsandbytes: the largest magnitude itself, however small.
      {0, 0, nf4, true, kTorch, 0, 0},
      {-0.0f, -0.0f, fp4, true, kTorch, 0, 0},
      {-7, 3, nf4, true, kTorch, 7, 0},
      {0, -0.0f, llm, true, kTorch, 0, 0},
      {-7, 3, llm, true, kTorch, 7, 0},
      {-1e-45f, 0, llm, true, kTorch, 1e-45f, 0},
      {-3e38f, kMax, llm, true, kTorch, kMax, 0},
      {0, 1e-45f, fp4, true, kTorch, 1e-45f, 0},
      {-3e38f, kMax, nf4, true, kTorch, kMax, 0},
      // Levels of unsigned and 4-bit formats.
      {-1, 3, u8, false, kTorch, 4 / 255.0f, 64},
      {-1, 3, u4, false, kTorch, 4 / 15.0f, 4},
      {-1, 3, i4, true, kTorch, 3 / 7.5f, 0},
      {-1, 3, u4, true, kTorch, 3 / 7.5f, 8},
      // Large.
      {-3e38f, 3e38f, i8, true, kTorch, 3e38f / 127.5f, 0},
      // The peers overflow to an infinite scale here; we do not.
      {-3e38f, 3e38f, i8, false, kTorch, 3e38f / 127.5f, 0},
      {-3e38f, 3e38f, i4, false, kCt, 3e38f / 7.5f, 0},
      {-kMax, kMax, u8, false, kTorch, kMax / 127.5f, 128},
  };
  for (const auto& c : cases) {
    const QParams found = QParamsFromRange(
        c.min, c.max, Grid(c.format, c.symmetric, c.convention));
    EXPECT_EQ(found.scale, c.scale)
        << c.min << " .. " << c.max << " " << NumberFormatName(c.format);
    EXPECT_EQ(found.zero_point, c.zero_point)
        << c.min << " .. " << c.max << " " << NumberFormatName(c.format)
        << (c.symmetric ? " symmetric" : " asymmetric");
  }
}

// Whatever the range: a positive, finite scale, a zero point that is a level,
// and both ends within half a step of a level.
TEST(QParamsTest, AlwaysUsable) {
  Random random(7);
  for (int i = 0; i < 20000; ++i) {
    float min = random.Finite();
    float max = random.Finite();
    if (i % 3 == 0) max = min;
    if (min > max) std::swap(min, max);
    for (const Codec* codec : DefaultRegistry().codecs) {
      if (!HasScales(codec->format)) continue;
      for (int rules = 0; rules < 8; ++rules) {
        const bool symmetric = (rules & 1) != 0;
        const Convention convention = (rules & 2) != 0 ? kTorch : kCt;
        const bool above_lowest = (rules & 4) != 0;
        LevelGrid grid = Grid(codec->format, symmetric, convention);
        grid.zero_points_above_lowest = above_lowest;
        const QParams p = QParamsFromRange(min, max, grid);
        ASSERT_TRUE(std::isfinite(p.scale)) << min << " " << max;
        if (min != 0 || max != 0 || !IsOfBitsandbytes(codec->kind)) {
          ASSERT_GT(p.scale, 0) << min << " " << max;
        }
        ASSERT_GE(p.zero_point, codec->qmin + (above_lowest ? 1 : 0));
        ASSERT_LE(p.zero_point, codec->qmax);
        // A step of float32 rounding more than half a level, at most; 4-bit
        // zero points are rounded, which costs up to half a level more.
        const double step = static_cast<double>(p.scale);
        // Scales below all normal floats have few bits; all levels add up.
        const double subnormal = codec->qmax * 0x1p-150;
        const double low =
            (codec->qmin - p.zero_point - 1.01) * step - subnormal;
        const double high =
            (codec->qmax - p.zero_point + 1.01) * step + subnormal;
        if (p.scale != kEps) {
          ASSERT_GE(static_cast<double>(min), low) << max;
          ASSERT_LE(static_cast<double>(max), high) << min;
        }
      }
    }
  }
}

// A scale that can be stored, and is the nearest to the one of float32 that can
// be; the zero point is the one of that scale.
TEST(QParamsTest, ScalesOfSixteenBits) {
  Random random(11);
  for (int i = 0; i < 20000; ++i) {
    const float max = std::fabs(random.Finite());
    const float min = i % 3 == 0 ? 0.0f : -max * random.Uniform(0, 1);
    for (bool symmetric : {false, true}) {
      for (Convention convention : {kTorch, kCt}) {
        LevelGrid grid = Grid(NumberFormat::kInt8, symmetric, convention);
        const float exact = QParamsFromRange(min, max, grid).scale;
        for (DType dtype : {DType::kF16, DType::kBF16}) {
          grid.scale_dtype = dtype;
          const QParams p = QParamsFromRange(min, max, grid);
          const bool half = dtype == DType::kF16;
          const float stored =
              half ? element::FromHalf(element::ToHalf(exact))
                   : element::FromBFloat16(element::ToBFloat16(exact));
          const float least = half ? 0x1p-24f : 0x1p-133f;
          const float most = half ? 65504.0f : 0x1.fep127f;
          ASSERT_EQ(p.scale, std::min(std::max(stored, least), most)) << exact;
          if (symmetric) {
            ASSERT_EQ(p.zero_point, 0);
            continue;
          }
          const float zero = convention == kTorch
                                 ? -128 - std::nearbyint(min / p.scale)
                                 : std::nearbyint(-128 - min / p.scale);
          ASSERT_EQ(p.zero_point, static_cast<int32_t>(std::min(
                                      std::max(zero, -128.0f), 127.0f)))
              << min << " .. " << max;
        }
      }
    }
  }
}

// What NVFP4 has: a scale of E4M3 for each group, and one for the tensor.
TEST(QParamsTest, ScalesBelowAnother) {
  EXPECT_EQ(GlobalScaleOf(1), 2688.0f);
  EXPECT_EQ(GlobalScaleOf(7), 2688.0f * (1.0f / 7.0f));
  EXPECT_NE(GlobalScaleOf(7), 2688.0f / 7.0f);
  EXPECT_EQ(GlobalScaleOf(3e38f), 2688.0f * (1.0f / 3e38f));
  // Where that is infinite there is none.
  EXPECT_EQ(GlobalScaleOf(0), 1.0f);
  EXPECT_EQ(GlobalScaleOf(1e-40f), 1.0f);
  EXPECT_EQ(GlobalScaleOf(1e-35f), 2688.0f * (1.0f / 1e-35f));

  LevelGrid grid = Grid(NumberFormat::kFp4E2M1, true, kTorch);
  grid.scale_dtype = DType::kF8E4M3;
  const auto stored_of = [&](float magnitude) {
    const QParams p = QParamsFromRange(-magnitude, magnitude / 2, grid);
    EXPECT_EQ(p, QParamsFromRange(0, magnitude, grid));
    EXPECT_EQ(p.zero_point, 0);
    float stored;
    ScalesBelow(grid.global_scale, {p}, absl::MakeSpan(&stored, 1));
    EXPECT_EQ(p.scale, stored / grid.global_scale);
    return stored;
  };
  for (const float most : {1.0f, 0.37f, 5e-30f, 7e30f}) {
    grid.global_scale = GlobalScaleOf(most);
    EXPECT_EQ(stored_of(most), 448.0f);
    EXPECT_EQ(stored_of(most / 2), 224.0f);
    // Between 1.0 and 1.125, and down to nothing.
    EXPECT_EQ(stored_of(most / 448 * 1.05f), 1.0f);
    EXPECT_EQ(stored_of(most / 448 * 1.07f), 1.125f);
    EXPECT_EQ(stored_of(most / 448 * 0x1.1p-9f), 0x1p-9f);
    EXPECT_EQ(stored_of(most / 448 * 0x1.fp-11f), 0.125f);
    EXPECT_EQ(stored_of(0), 0.125f);
  }
  // Every stored scale comes back from the quotient.
  Random random(12);
  for (int i = 0; i < 200; ++i) {
    const float global_scale = GlobalScaleOf(std::fabs(random.Finite()));
    for (uint8_t code = 1; code < 0x7f; ++code) {
      const float scale = element::E4M3::FromCode(code);
      float stored;
      ScalesBelow(global_scale, {QParams{scale / global_scale, 0}},
                  absl::MakeSpan(&stored, 1));
      ASSERT_EQ(stored, scale) << global_scale;
    }
  }
}

// Powers of two for the largest magnitude, as MX formats have them.
TEST(QParamsTest, ScalesThatArePowersOfTwo) {
  const struct {
    NumberFormat format;
    int exponent;  // of its largest number
  } formats[] = {{NumberFormat::kFp4E2M1, 2},
                 {NumberFormat::kFp8E4M3, 8},
                 {NumberFormat::kFp8E5M2, 15}};
  for (const auto& f : formats) {
    LevelGrid grid = Grid(f.format, true, kTorch);
    grid.scale_dtype = DType::kF8E8M0;
    const auto scale_of = [&](float magnitude) {
      const QParams p = QParamsFromRange(-magnitude, magnitude / 2, grid);
      EXPECT_EQ(p, QParamsFromRange(-magnitude / 2, magnitude, grid));
      EXPECT_EQ(p.zero_point, 0);
      EXPECT_EQ(element::FromE8M0(element::ToE8M0(p.scale)), p.scale);
      return p.scale;
    };
    for (int e = -110; e <= 127; ++e) {
      const float one = std::ldexp(1.0f, e - f.exponent);
      EXPECT_EQ(scale_of(std::ldexp(1.0f, e)), one);
      EXPECT_EQ(scale_of(std::ldexp(std::nextafter(1.75f, 1.0f), e)), one);
      EXPECT_EQ(scale_of(std::ldexp(1.75f, e)), 2 * one);
      EXPECT_EQ(scale_of(std::ldexp(std::nextafter(2.0f, 1.0f), e)), 2 * one);
    }
    // The smallest one, where there is none that is small enough; whatever the
    // signs of zeros are.
    EXPECT_EQ(scale_of(0), 0x1p-127f);
    for (float min : {0.0f, -0.0f}) {
      for (float max : {0.0f, -0.0f}) {
        EXPECT_EQ(QParamsFromRange(min, max, grid).scale, 0x1p-127f);
      }
    }
    EXPECT_EQ(scale_of(1e-45f), 0x1p-127f);
    EXPECT_EQ(scale_of(0x1p-126f), 0x1p-127f);
  }
}

// Where the lowest level can be no zero point, a range from 0 on has one level
// below 0 and all others above.
TEST(QParamsTest, ZeroPointsAboveTheLowestLevel) {
  for (Convention convention : {kTorch, kCt}) {
    LevelGrid grid = Grid(NumberFormat::kUInt4, false, convention);
    grid.zero_points_above_lowest = true;
    EXPECT_EQ(QParamsFromRange(0, 14, grid), (QParams{1, 1}));
    EXPECT_EQ(QParamsFromRange(-0.25f, 14, grid), (QParams{1, 1}));
    EXPECT_EQ(QParamsFromRange(-3, 12, grid), (QParams{1, 3}));
    EXPECT_EQ(QParamsFromRange(-15, 0, grid), (QParams{1, 15}));
    EXPECT_EQ(QParamsFromRange(0, 0, grid), (QParams{kEps, 1}));
    grid.symmetric = true;
    EXPECT_EQ(QParamsFromRange(0, 7.5f, grid), (QParams{1, 8}));
  }
}

TEST(QParamsTest, FusedAddIsTorchPerTensor) {
  QuantScheme scheme;
  scheme.granularity = Granularity::kTensor;
  const Codec& codec = DefaultRegistry().GetCodec(scheme.format);
  EXPECT_TRUE(GridOf(codec, scheme).fused_add);
  scheme.convention = kCt;
  EXPECT_FALSE(GridOf(codec, scheme).fused_add);
  scheme.convention = kTorch;
  scheme.granularity = Granularity::kAxis;
  EXPECT_FALSE(GridOf(codec, scheme).fused_add);
}

}  // namespace
}  // namespace monoquant
