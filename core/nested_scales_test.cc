#include "core/nested_scales.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/level_grid.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/codebooks.h"

namespace monoquant {
namespace {

using testing::Random;

std::vector<QParams> Params(const std::vector<float>& scales) {
  std::vector<QParams> params;
  for (const float scale : scales) params.push_back({scale, 0});
  return params;
}

float MeanOf(const std::vector<float>& scales) {
  ScaleSum sum;
  sum.Add(Params(scales));
  return sum.Mean(scales.size());
}

TEST(ScaleSumTest, KnownMeans) {
  const float largest = 0x1.fffffep127f;
  const float smallest = 0x1p-149f;
  EXPECT_EQ(MeanOf({0}), 0);
  EXPECT_EQ(MeanOf({-0.0f, 0}), 0);
  EXPECT_EQ(MeanOf({0.1f}), 0.1f);
  EXPECT_EQ(MeanOf({1, 2, 6}), 3);
  EXPECT_EQ(MeanOf({1, 0, 0}), 1.0f / 3);
  EXPECT_EQ(MeanOf({largest, largest, largest}), largest);
  EXPECT_EQ(MeanOf({smallest}), smallest);
  EXPECT_EQ(MeanOf({smallest, smallest, 4 * smallest}), 2 * smallest);
  EXPECT_EQ(MeanOf({0x1p-126f, 0x1p-127f}), 0x1.8p-127f);
  // What a sum of floats, or of doubles, would lose.
  EXPECT_EQ(MeanOf({0x1p60f, 0x1p-100f, 0}), 0x1p60f / 3);
  std::vector<float> ones(1 << 20, 1.0f);
  ones[0] = 0x1p80f;
  EXPECT_EQ(MeanOf(ones), 0x1p60f);
  // Next to the middle of two floats: a double has no place for one of the 1s.
  EXPECT_EQ(MeanOf({0x1p53f, 1, 1, 0x1p29f}), 0x1.000002p51f);
}

TEST(ScaleSumTest, AnyOrderGivesTheSameMean) {
  Random random(3);
  std::vector<float> scales;
  for (int i = 0; i < 50000; ++i) scales.push_back(std::abs(random.Finite()));
  const float expected = MeanOf(scales);
  for (int round = 0; round < 5; ++round) {
    for (size_t i = scales.size() - 1; i > 0; --i) {
      std::swap(scales[i], scales[static_cast<size_t>(random.Below(i + 1))]);
    }
    const std::vector<QParams> params = Params(scales);
    ScaleSum left;
    ScaleSum right;
    const size_t middle = static_cast<size_t>(random.Below(scales.size()));
    left.Add(absl::MakeConstSpan(params).first(middle));
    right.Add(absl::MakeConstSpan(params).subspan(middle));
    right.Merge(left);
    EXPECT_EQ(right.Mean(scales.size()), expected);
  }
}

// The codes that bitsandbytes 0.50.2 has for these quotients: 1 and they are a
// block, of scales less 2.
TEST(QuantizeScalesTest, KnownCodes) {
  const struct {
    float quotient;
    int code;
  } cases[] = {
      {1, 255},
      {-1, 0},
      // As near to the table's numbers as 2^16 steps are.
      {0, 131},
      {0x1p-20f, 131},
      {0x1.8p-15f, 132},
      {0x1p-14f, 133},
      {-0x1p-22f, 123},
      {-0x1p-15f, 123},
      {-0x1p-14f, 122},
      {0.5f, 219},
      {-0.5f, 35},
      {0.25f, 201},
      {-0.9995117f, 0},
      {-0.98583984f, 1},
      {0.99609375f, 254},
      {0.99658203f, 255},
  };
  std::vector<float> scales = {3};
  for (const auto& c : cases) scales.push_back(2 + c.quotient);
  NestedScales nested;
  QuantizeScales(Params(scales), 2, &nested);
  ASSERT_EQ(nested.block_scales, std::vector<float>{1});
  for (size_t i = 0; i < std::size(cases); ++i) {
    EXPECT_EQ(nested.codes[i + 1], cases[i].code) << cases[i].quotient;
    EXPECT_EQ(nested.params[i + 1].scale,
              kNestedNumbers[nested.codes[i + 1]] + 2.0f);
  }
}

// Blocks of 256, the last one short, each with its own scale.
TEST(QuantizeScalesTest, Blocks) {
  for (const size_t count : {1u, 255u, 256u, 257u, 1000u}) {
    std::vector<float> scales;
    for (size_t i = 0; i < count; ++i) {
      scales.push_back(1 + static_cast<float>(i % 256) / 256 *
                               static_cast<float>(i / 256 + 1));
    }
    NestedScales nested;
    QuantizeScales(Params(scales), 1, &nested);
    ASSERT_EQ(nested.codes.size(), count);
    ASSERT_EQ(nested.params.size(), count);
    ASSERT_EQ(nested.block_scales.size(), (count + 255) / 256);
    for (size_t i = 0; i < count; ++i) {
      const float block = nested.block_scales[i / 256];
      const float number = kNestedNumbers[nested.codes[i]];
      EXPECT_EQ(nested.params[i].scale, number * block + 1);
      // Numbers around 1 are less than 0.015 apart.
      EXPECT_NEAR(nested.params[i].scale, scales[i], 0.008f * block);
    }
    if (count < 256) continue;
    EXPECT_EQ(nested.codes[255], 255);
  }
}

// Scales that are all the same, and those that a float can hardly tell apart.
TEST(QuantizeScalesTest, Edges) {
  NestedScales nested;
  QuantizeScales(Params({2, 2, 2}), 2, &nested);
  EXPECT_EQ(nested.codes, (std::vector<uint8_t>{0, 0, 0}));
  EXPECT_EQ(nested.block_scales, std::vector<float>{0});
  EXPECT_EQ(nested.params, Params({2, 2, 2}));

  // The reciprocal is infinite.
  QuantizeScales(Params({0x1p-140f, 0x1p-141f, 0x1p-142f}), 0x1p-141f, &nested);
  EXPECT_EQ(nested.codes, (std::vector<uint8_t>{255, 0, 0}));
  EXPECT_EQ(nested.block_scales, std::vector<float>{0x1p-141f});

  const float largest = 0x1.fffffep127f;
  QuantizeScales(Params({largest, 0, largest}), 0x1.555554p127f, &nested);
  EXPECT_EQ(nested.codes, (std::vector<uint8_t>{219, 0, 219}));
  QuantizeScales({}, 1, &nested);
  EXPECT_TRUE(nested.codes.empty());
  EXPECT_TRUE(nested.block_scales.empty());
}

// Memory is no more than what is said.
TEST(QuantizeScalesTest, Bytes) {
  for (const size_t count : {1u, 256u, 1000u}) {
    NestedScales nested;
    QuantizeScales(Params(std::vector<float>(count, 1)), 0, &nested);
    EXPECT_LE(nested.codes.size() + nested.params.size() * sizeof(QParams) +
                  nested.block_scales.size() * sizeof(float),
              NestedScalesBytes(count));
  }
}

}  // namespace
}  // namespace monoquant
