#include "core/siblings.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

CheckpointIndex Index(std::vector<std::pair<std::string, Shape>> tensors) {
  CheckpointIndex index;
  for (auto& [name, shape] : tensors) {
    TensorInfo tensor;
    tensor.name = std::move(name);
    tensor.shape = std::move(shape);
    index.tensors.push_back(std::move(tensor));
  }
  return index;
}

std::vector<std::string> Text(const std::vector<Siblings>& sets) {
  std::vector<std::string> lines;
  for (const Siblings& set : sets) {
    lines.push_back(
        absl::StrCat(set.name, ": ", absl::StrJoin(set.weights, " ")));
  }
  return lines;
}

TEST(SiblingsTest, ExpertsOfALayer) {
  EXPECT_EQ(ExpertsOf("model.layers.0.mlp.experts.12.w1.weight"),
            "model.layers.0.mlp.experts");
  EXPECT_EQ(ExpertsOf("a.experts.3.up_proj"), "a.experts");
  for (const char* other :
       {"a.experts.gate_up_proj", "a.experts.", "a.experts", "experts.3.w1",
        "a.shared_experts.0.w1.weight", ""}) {
    EXPECT_EQ(ExpertsOf(other), "") << other;
  }
}

TEST(SiblingsTest, AttentionAndFeedForward) {
  const CheckpointIndex index = Index({
      {"model.layers.0.self_attn.k_proj.weight", {8, 16}},
      {"model.layers.0.self_attn.o_proj.weight", {16, 16}},
      {"model.layers.0.self_attn.q_proj.bias", {16}},
      {"model.layers.0.self_attn.q_proj.weight", {16, 16}},
      {"model.layers.0.self_attn.v_proj.weight", {8, 16}},
      {"model.layers.0.mlp.down_proj.weight", {16, 32}},
      {"model.layers.0.mlp.gate_proj.weight", {32, 16}},
      {"model.layers.0.mlp.up_proj.weight", {32, 16}},
      {"model.layers.1.self_attn.q_proj.weight", {16, 16}},
  });
  EXPECT_EQ(Text(FindFusedWeights(index)),
            (std::vector<std::string>{"model.layers.0.self_attn: 0 3 4",
                                      "model.layers.0.mlp: 6 7"}));
}

// Layers with other inputs cannot be one matrix.
TEST(SiblingsTest, OtherColumnsAreNoSiblings) {
  const CheckpointIndex index = Index({
      {"decoder.cross.query.weight", {16, 16}},
      {"decoder.cross.key.weight", {16, 24}},
      {"decoder.cross.value.weight", {16, 24}},
  });
  EXPECT_EQ(Text(FindFusedWeights(index)),
            (std::vector<std::string>{"decoder.cross: 1 2"}));
}

TEST(SiblingsTest, Experts) {
  const CheckpointIndex index = Index({
      {"layers.0.moe.gate.weight", {2, 16}},
      {"layers.0.moe.experts.0.w1.weight", {32, 16}},
      {"layers.0.moe.experts.0.w2.weight", {16, 32}},
      {"layers.0.moe.experts.0.w3.weight", {32, 16}},
      {"layers.0.moe.experts.1.w1.weight", {32, 16}},
      {"layers.0.moe.experts.1.w3.weight", {32, 16}},
      {"layers.1.moe.experts.gate_up_proj", {2, 64, 16}},
  });
  EXPECT_EQ(Text(FindExpertWeights(index)),
            std::vector<std::string>{"layers.0.moe.experts: 1 2 3 4 5"});
  EXPECT_EQ(Text(FindFusedWeights(index)),
            (std::vector<std::string>{"layers.0.moe.experts.0: 1 3",
                                      "layers.0.moe.experts.1: 4 5"}));
}

TEST(SiblingsTest, NothingOfAKind) {
  EXPECT_TRUE(FindFusedWeights(Index({{"q_proj.weight", {4, 4}},
                                      {"k_proj.weight", {4, 4}},
                                      {"weight", {4, 4}},
                                      {"", {}}}))
                  .empty());
  EXPECT_TRUE(FindExpertWeights(Index({{"a.experts.b.weight", {4, 4}},
                                       {"a.experts.", {4, 4}}}))
                  .empty());
}

}  // namespace
}  // namespace monoquant
