// Guards: which tensors are halves of one weight, which are half of one and
// miss the other, and how scales divide a weight.

#include "frontends/scaled/scale_pairs.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::IsEmpty;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;

using Tensors = std::vector<std::pair<std::string, DType>>;

CheckpointIndex Index(const Tensors& tensors) {
  CheckpointIndex index;
  index.path = "m";
  for (const auto& [name, dtype] : tensors) {
    TensorInfo info;
    info.name = name;
    info.dtype = dtype;
    index.tensors.push_back(std::move(info));
  }
  return index;
}

// "weight scale", one a pair, or the error.
std::vector<std::string> Pairs(const Tensors& tensors) {
  const CheckpointIndex index = Index(tensors);
  const auto pairs = FindScalePairs(index);
  if (!pairs.ok()) return {pairs.status().ToString()};
  std::vector<std::string> names;
  for (const ScalePair& pair : *pairs) {
    names.push_back(index.tensors[pair.weight].name + " " +
                    index.tensors[pair.scale].name);
  }
  return names;
}

TEST(ScalePairsTest, PairsByName) {
  EXPECT_THAT(
      Pairs({{"a.weight_scale_inv", DType::kF32},
             {"a.weight", DType::kF8E4M3},
             {"b.weight", DType::kF8E5M2},
             {"b.weight_scale", DType::kBF16},
             {"experts.up", DType::kF8E4M3FNUZ},
             {"experts.up_scale_inv", DType::kF32},
             {"c.weight", DType::kBF16}}),
      ElementsAre("a.weight a.weight_scale_inv", "b.weight b.weight_scale",
                  "experts.up experts.up_scale_inv"));
}

TEST(ScalePairsTest, OtherScalesAreTensors) {
  EXPECT_THAT(Pairs({{"a.weight", DType::kF8E4M3},
                     {"a.weight_scale", DType::kF32},
                     {"a.input_scale", DType::kF32},
                     {"a.k_scale", DType::kF32},
                     {"a.v_scale", DType::kF32},
                     {"b.weight", DType::kI8},
                     {"b.weight_scale", DType::kF32},
                     {"c.weight_packed", DType::kI32},
                     {"c.weight_scale", DType::kF32},
                     {"cache", DType::kF8E5M2}}),
              ElementsAre("a.weight a.weight_scale"));
}

TEST(ScalePairsTest, WithoutAnyScalesNothingIsMissing) {
  EXPECT_THAT(Pairs({{"a.weight", DType::kF8E4M3}}), IsEmpty());
  EXPECT_THAT(Pairs({{"a.weight_scale", DType::kF32}}), IsEmpty());
  EXPECT_TRUE(MayHaveScalePairs(Index({{"a", DType::kF8E4M3}})));
  EXPECT_TRUE(MayHaveScalePairs(Index({{"a_scale_inv", DType::kF32}})));
  EXPECT_FALSE(MayHaveScalePairs(
      Index({{"a", DType::kF32}, {"a_scale", DType::kF8E8M0}})));
}

TEST(ScalePairsTest, HalfAPairIsAnError) {
  ExpectError(FindScalePairs(Index({{"a.weight_scale_inv", DType::kF32}})),
              kDataLoss,
              "m: tensor 'a.weight_scale_inv': has scales for 'a.weight', "
              "which is missing; the checkpoint is incomplete, download or "
              "copy all of it again");
  ExpectError(FindScalePairs(Index({{"a.weight", DType::kBF16},
                                    {"a.weight_scale_inv", DType::kF32}})),
              kDataLoss,
              "has scales for 'a.weight', which is BF16 and no 8-bit float");
  const Tensors pair = {{"a.weight", DType::kF8E4M3},
                        {"a.weight_scale_inv", DType::kF32}};
  Tensors lonely = pair;
  lonely.emplace_back("b.weight", DType::kF8E4M3);
  ExpectError(FindScalePairs(Index(lonely)), kDataLoss,
              "m: tensor 'b.weight': F8_E4M3 without its scales "
              "'b.weight_scale_inv', which other weights have");
  Tensors scale = pair;
  scale.emplace_back("b.weight_scale", DType::kF32);
  ExpectError(FindScalePairs(Index(scale)), kDataLoss,
              "tensor 'b.weight_scale': has scales for 'b.weight', which is "
              "missing");
  Tensors both = pair;
  both.emplace_back("a.weight_scale", DType::kF32);
  ExpectError(FindScalePairs(Index(both)), kDataLoss,
              "tensor 'a.weight' has two tensors of scales, "
              "'a.weight_scale_inv' and 'a.weight_scale'");
}

// The blocks of the elements of a small weight; empty if the scales do not fit.
std::vector<uint64_t> Blocks(const Shape& weight, const Shape& scale,
                             const Shape& block = {}) {
  const auto grid = FitBlocks(weight, scale, block);
  std::vector<uint64_t> blocks;
  if (!grid.ok()) return blocks;
  uint64_t elements = 1;
  for (int64_t size : weight) elements *= static_cast<uint64_t>(size);
  for (uint64_t i = 0; i < elements; ++i) blocks.push_back(grid->At(i).block);
  return blocks;
}

TEST(ScalePairsTest, ShapesOfScales) {
  const std::vector<uint64_t> one = {0, 0, 0, 0, 0, 0};
  EXPECT_EQ(Blocks({2, 3}, {}), one);
  EXPECT_EQ(Blocks({2, 3}, {1}), one);
  EXPECT_EQ(Blocks({2, 3}, {1, 1}), one);
  EXPECT_EQ(Blocks({2, 3}, {1, 1}, {128, 128}), one);
  const std::vector<uint64_t> rows = {0, 0, 0, 1, 1, 1};
  EXPECT_EQ(Blocks({2, 3}, {2}), rows);
  EXPECT_EQ(Blocks({2, 3}, {2, 1}), rows);
  EXPECT_EQ(Blocks({2, 3}, {1, 3}), (std::vector<uint64_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(Blocks({2, 3}, {1, 2}), (std::vector<uint64_t>{0, 0, 1, 0, 0, 1}));
  // The block that is configured, where several would do.
  EXPECT_EQ(Blocks({1, 8}, {1, 2}),
            (std::vector<uint64_t>{0, 0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(Blocks({1, 8}, {1, 2}, {1, 5}),
            (std::vector<uint64_t>{0, 0, 0, 0, 0, 1, 1, 1}));
  // Stacked experts: the block is that of the last dimensions.
  EXPECT_EQ(Blocks({2, 2, 2}, {2, 1, 1}, {128, 128}),
            (std::vector<uint64_t>{0, 0, 0, 0, 1, 1, 1, 1}));
}

TEST(ScalePairsTest, ScalesThatDoNotFit) {
  ExpectError(FitBlocks({300, 200}, {4, 2}, {}), kDataLoss,
              "scales of [4, 2] do not fit a weight of [300, 200] in blocks of "
              "a power of two");
  ExpectError(FitBlocks({300, 200}, {3, 2}, {64, 64}), kDataLoss,
              "in blocks of [64, 64]");
  ExpectError(FitBlocks({300, 200}, {200}, {}), kDataLoss, "[200]");
  ExpectError(FitBlocks({300, 200}, {300, 2, 1}, {}), kDataLoss, "any size");
  ExpectError(FitBlocks({300, 200}, {0, 2}, {}), kDataLoss, "[0, 2]");
  ExpectError(FitBlocks({300, 200}, {301, 1}, {}), kDataLoss, "[301, 1]");
}

}  // namespace
}  // namespace monoquant
