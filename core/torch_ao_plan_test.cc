// Guards: which modules are quantized in the torch-ao storage, why the others
// are not, and what a job then writes.

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/job.h"
#include "core/layer_kind.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "core/torch_ao_modules.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"
#include "ir/torch_ao.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using testing::MemoryReader;
using testing::RunPlan;
using testing::Values;

constexpr auto kCannot = absl::StatusCode::kFailedPrecondition;

size_t Add(MemoryReader& reader, const std::string& name, const Shape& shape,
           DType dtype = DType::kF32) {
  const size_t count = static_cast<size_t>(NumElements(shape).value());
  return reader.Add(name, shape, testing::Make(Values::kRandom, count), dtype);
}

// A recurrent module of `gates` x `hidden` rows.
void AddRecurrent(MemoryReader& reader, const std::string& name, int64_t gates,
                  int64_t hidden, const std::vector<std::string>& suffixes,
                  bool biases = true) {
  for (const std::string& suffix : suffixes) {
    for (const char* kind : {"ih", "hh"}) {
      Add(reader, absl::StrCat(name, ".weight_", kind, suffix),
          {gates * hidden, kind[0] == 'i' ? 5 : hidden});
      if (!biases) continue;
      Add(reader, absl::StrCat(name, ".bias_", kind, suffix), {gates * hidden});
    }
  }
}

Recipe Rules(const std::vector<std::string>& rules) {
  Recipe recipe;
  for (const std::string& rule : rules) {
    recipe.rules.push_back(*ParseRule(rule));
  }
  return recipe;
}

absl::StatusOr<Plan> MakeTorchAo(
    const MemoryReader& reader, const std::vector<std::string>& rules = {},
    const std::vector<LayerKind>& layer_types = {}) {
  PlanOptions options;
  options.storage = QuantStorage::kTorchAo;
  Recipe recipe = Rules(rules);
  recipe.layer_types = layer_types;
  return MakePlan(reader.index(), recipe, options);
}

// The reason for what happens to a tensor, its format before it if it is
// quantized: "int8: float weight".
std::string ReasonFor(const MemoryReader& reader, const std::string& name,
                      const std::vector<std::string>& rules = {},
                      const std::vector<LayerKind>& layer_types = {}) {
  const absl::StatusOr<Plan> plan = MakeTorchAo(reader, rules, layer_types);
  if (!plan.ok()) return std::string(plan.status().message());
  for (const TensorPlan& tensor : plan->tensors) {
    if (reader.index().tensors[tensor.input].name != name) continue;
    if (tensor.action != Action::kQuantize) return tensor.reason;
    return absl::StrCat(NumberFormatName(tensor.scheme.format), ": ",
                        tensor.reason);
  }
  return "absent";
}

TEST(TorchAoPlanTest, ModulesAreQuantizedHoweverSmall) {
  MemoryReader reader;
  Add(reader, "fc.weight", {2, 3});
  Add(reader, "fc.bias", {2});
  Add(reader, "lm_head.weight", {4, 2});
  AddRecurrent(reader, "lstm", 4, 3, {"_l0", "_l0_reverse", "_l1"});
  Add(reader, "lstm.weight_ih_l1_reverse", {12, 6});
  Add(reader, "lstm.weight_hh_l1_reverse", {12, 3});
  Add(reader, "lstm.bias_ih_l1_reverse", {12});
  Add(reader, "lstm.bias_hh_l1_reverse", {12});
  AddRecurrent(reader, "gru", 3, 4, {"_l0"});
  AddRecurrent(reader, "a", 4, 3, {""});
  AddRecurrent(reader, "b", 3, 3, {""});
  AddRecurrent(reader, "c", 1, 3, {""});
  Add(reader, "embed.weight", {10, 8});
  const Plan plan = *MakeTorchAo(reader);
  for (const TensorPlan& tensor : plan.tensors) {
    const TensorInfo& info = reader.index().tensors[tensor.input];
    const bool quantized = info.shape.size() == 2 && info.name[0] != 'e';
    EXPECT_EQ(tensor.action == Action::kQuantize, quantized) << info.name;
    EXPECT_EQ(tensor.reason, quantized                ? "float weight"
                             : info.shape.size() == 1 ? "1-D"
                                                      : "embedding (name)")
        << info.name;
  }
  const OutputTensor& scale = plan.manifest.tensors[plan.tensors[0].scale];
  EXPECT_EQ(scale.name, "fc.weight.scale");
  EXPECT_EQ(scale.dtype, DType::kF64);
  EXPECT_EQ(plan.manifest.record.tensors[0].scheme.scale_dtype, DType::kF32);
}

TEST(TorchAoPlanTest, WhatHasNoPlaceStays) {
  MemoryReader reader;
  Add(reader, "up.weight", {16, 8, 3, 3});
  Add(reader, "up.bias", {8});
  Add(reader, "deconv.weight", {8, 8, 3});
  Add(reader, "deep.weight", {2, 2, 2, 2, 2, 2});
  Add(reader, "attn.in_proj_weight", {12, 4});
  Add(reader, "attn.out_proj.weight", {4, 4});
  Add(reader, "cross.q_proj_weight", {4, 4});
  Add(reader, "cross.out_proj.weight", {4, 4});
  Add(reader, "other.out_proj.weight", {4, 4});
  Add(reader, "odd.weight", {4, 4});
  Add(reader, "odd.bias", {4, 1});
  Add(reader, "wide.weight", {4, 4});
  Add(reader, "wide.bias", {4}, DType::kF64);
  AddRecurrent(reader, "bare", 4, 3, {"_l0"}, /*biases=*/false);
  AddRecurrent(reader, "rnn", 1, 3, {"_l0"});
  AddRecurrent(reader, "projected", 4, 3, {"_l0"});
  Add(reader, "projected.weight_hr_l0", {2, 3});
  AddRecurrent(reader, "gap", 4, 3, {"_l1"});
  Add(reader, "half.weight_ih_l0", {12, 5});
  AddRecurrent(reader, "two", 2, 3, {""});
  Add(reader, "bilinear.weight", {4, 4});
  reader.mutable_index().tensors.back().module_kind = "Factorized";
  const struct {
    const char* name;
    const char* reason;
  } cases[] = {
      {"up.weight",
       "torch-ao has no place for module 'up', which is a transposed "
       "convolution, for which torch has no scales of rows; leave it as it is "
       "(--skip)"},
      {"deconv.weight", "'deconv', which is a transposed convolution"},
      {"deep.weight", "torch-ao has no place for a quantized tensor of 6"},
      {"attn.in_proj_weight", "a quantized tensor whose name is not that"},
      {"attn.out_proj.weight",
       "torch-ao has no place for module 'attn.out_proj', which is a part of a "
       "MultiheadAttention, which torch leaves in float; leave it as it is "
       "(--skip)"},
      {"cross.out_proj.weight", "a part of a MultiheadAttention"},
      {"other.out_proj.weight", "int8: float weight"},
      {"odd.weight", "module 'odd', which has a bias of shape [4, 1];"},
      {"wide.weight", "has a bias of F64, where torch has float32;"},
      {"bare.weight_hh_l0",
       "'bare', which has no biases, without which torch has no dynamic one;"},
      {"rnn.weight_ih_l0", "is an RNN, which torch has no dynamic module for"},
      {"projected.weight_ih_l0", "has projections, which torch's dynamic"},
      {"gap.weight_ih_l1", "module 'gap', which lacks a weight;"},
      {"half.weight_ih_l0", "module 'half', which lacks a weight;"},
      {"two.weight_hh", "has weights of another shape than those of an LSTM"},
      {"bilinear.weight",
       "is of class 'Factorized', which torch has no quantized module for"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(ReasonFor(reader, c.name), HasSubstr(c.reason)) << c.name;
    if (absl::string_view(c.reason).substr(0, 4) == "int8") continue;
    // A rule that asks for it is told the same.
    ExpectError(MakeTorchAo(reader, {absl::StrCat(c.name, "=int8")}), kCannot,
                absl::StrCat("tensor '", c.name, "': torch-ao has no place"));
  }
}

// torch leaves them in float where nobody asks for more.
TEST(TorchAoPlanTest, ConvolutionsAreAskedFor) {
  MemoryReader reader;
  Add(reader, "one.weight", {6, 4, 3});
  Add(reader, "two.weight", {6, 4, 3, 3});
  Add(reader, "two.bias", {6}, DType::kF16);
  Add(reader, "three.weight", {6, 4, 1, 2, 2});
  Add(reader, "fc.weight", {6, 4});
  Add(reader, "wide.weight", {6, 4, 3});
  Add(reader, "wide.bias", {6}, DType::kF64);
  EXPECT_EQ(ReasonFor(reader, "two.weight"),
            "layer type Conv2d, which quantize_dynamic leaves in float");
  EXPECT_EQ(ReasonFor(reader, "three.weight"),
            "layer type Conv3d, which quantize_dynamic leaves in float");
  EXPECT_EQ(ReasonFor(reader, "fc.weight"), "int8: float weight");
  const std::vector<LayerKind> types = {LayerKind::kConv1d, LayerKind::kConv2d};
  EXPECT_EQ(ReasonFor(reader, "one.weight", {}, types), "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "two.weight", {}, types), "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "three.weight", {}, types), "layer type Conv3d");
  EXPECT_EQ(ReasonFor(reader, "fc.weight", {}, types), "layer type Linear");
  EXPECT_THAT(ReasonFor(reader, "wide.weight", {}, types),
              HasSubstr("'wide', which has a bias of F64"));
  EXPECT_EQ(ReasonFor(reader, "three.weight", {"three.weight=int8"}),
            "int8: rule three.weight");
  ExpectError(MakeTorchAo(reader, {"two.weight=uint8"}), kCannot,
              "tensor 'two.weight': torch-ao has weights of other modules "
              "as int8, and 'two' is one; use int8");
  ExpectError(MakeTorchAo(reader, {"two.weight=int8,axis=1"}), kCannot,
              "use a scale for each index of axis 0");
  // The bias becomes a part of the module.
  EXPECT_THAT(ReasonFor(reader, "two.weight", {"two.bias=bf16"}, types),
              HasSubstr("and not with 'two.bias' as it is"));
  const Plan plan = *MakeTorchAo(reader, {}, types);
  const OutputTensor& bias = plan.manifest.tensors[plan.tensors[2].output];
  EXPECT_EQ(bias.name, "two.bias");
  EXPECT_EQ(bias.dtype, DType::kF32);
}

// So are embeddings, which have codes without a sign.
TEST(TorchAoPlanTest, EmbeddingsAreAskedFor) {
  MemoryReader reader;
  Add(reader, "embed.weight", {10, 8});
  Add(reader, "items.weight", {10, 8});
  Add(reader, "fc.weight", {4, 8});
  Add(reader, "fc.bias", {4});
  // Embeddings have no bias.
  Add(reader, "token_embedding.weight", {4, 8});
  Add(reader, "token_embedding.bias", {4});
  const std::vector<LayerKind> types = {LayerKind::kLinear,
                                        LayerKind::kEmbedding};
  EXPECT_EQ(ReasonFor(reader, "embed.weight"), "embedding (name)");
  EXPECT_EQ(ReasonFor(reader, "embed.weight", {}, types),
            "uint8: float weight");
  EXPECT_EQ(ReasonFor(reader, "fc.weight", {}, types), "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "embed.weight", {"embed.weight=uint8"}),
            "uint8: rule embed.weight");
  ExpectError(MakeTorchAo(reader, {"embed.weight=int8"}), kCannot,
              "tensor 'embed.weight': torch-ao has weights of embeddings as "
              "uint8, and 'embed' is one; use uint8, or leave it as it is "
              "(--skip)");
  ExpectError(MakeTorchAo(reader, {"embed.weight=uint8,asymmetric"}), kCannot,
              "use symmetric");
  ExpectError(MakeTorchAo(reader, {"fc.weight=uint8"}), kCannot,
              "torch-ao has weights of other modules as int8, and 'fc' is one");
  EXPECT_EQ(ReasonFor(reader, "token_embedding.weight",
                      {"token_embedding.weight=int8"}),
            "int8: rule token_embedding.weight");
  // What may be either is what the rule says.
  EXPECT_EQ(ReasonFor(reader, "items.weight"), "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "items.weight", {"items.weight=uint8"}),
            "uint8: rule items.weight");
  // A Linear that shares it has no place for its codes.
  reader.AddTie("head.weight", 0);
  EXPECT_THAT(ReasonFor(reader, "embed.weight", {}, types),
              HasSubstr("and 'head' is one; use int8"));
}

TEST(TorchAoPlanTest, EmbeddingsHaveTheNumbersOfInt8) {
  MemoryReader reader;
  Add(reader, "embed.weight", {40, 6});
  const auto codes = RunPlan(
      reader, *MakeTorchAo(reader, {}, {LayerKind::kEmbedding}), 64 << 10);
  ASSERT_TRUE(codes.ok()) << codes.status();
  const auto plain =
      RunPlan(reader, *MakePlan(reader.index(), Rules({"embed.weight=int8"})));
  ASSERT_TRUE(plain.ok()) << plain.status();
  const TensorPlan& embed = codes->plan.tensors[0];
  EXPECT_EQ(codes->output->bytes(embed.scale),
            plain->output->bytes(plain->plan.tensors[0].scale));
  const std::vector<uint8_t>& found = codes->output->bytes(embed.output);
  const std::vector<uint8_t>& expected =
      plain->output->bytes(plain->plan.tensors[0].output);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    // Values next to the middle of two codes can become either.
    EXPECT_NEAR(found[i] - 128, static_cast<int8_t>(expected[i]), 1);
  }
  const std::vector<uint8_t>& zeros = codes->output->bytes(embed.zero_point);
  ASSERT_EQ(zeros.size(), 40 * sizeof(float));
  for (size_t i = 0; i < 40; ++i) {
    float zero;
    std::memcpy(&zero, &zeros[i * sizeof(zero)], sizeof(zero));
    EXPECT_EQ(zero, 128);
  }
}

// The class of the module, where the file tells it, decides.
TEST(TorchAoPlanTest, ClassesOverruleNames) {
  MemoryReader reader;
  Add(reader, "embed.weight", {4, 4});
  Add(reader, "fc.weight", {4, 4});
  reader.mutable_index().tensors[0].module_kind = "Linear";
  reader.mutable_index().tensors[1].module_kind = "Embedding";
  EXPECT_EQ(ReasonFor(reader, "embed.weight"), "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "fc.weight"), "embedding (Embedding)");
}

TEST(TorchAoPlanTest, AModuleIsQuantizedAsAWhole) {
  MemoryReader reader;
  AddRecurrent(reader, "lstm", 4, 3, {"_l0", "_l1"});
  Add(reader, "fc.weight", {4, 4});
  Add(reader, "fc.bias", {4});
  const std::string skip = "lstm.weight_hh_l1=skip";
  EXPECT_EQ(ReasonFor(reader, "lstm.weight_ih_l0", {skip}),
            "torch quantizes module 'lstm' as a whole, and not with "
            "'lstm.weight_hh_l1' as it is (rule lstm.weight_hh_l1)");
  EXPECT_EQ(ReasonFor(reader, "fc.weight", {skip}), "int8: float weight");
  EXPECT_THAT(ReasonFor(reader, "fc.weight", {"*.bias=fp16"}),
              HasSubstr("and not with 'fc.bias' as it is (rule *.bias)"));
  ExpectError(MakeTorchAo(reader, {"lstm.weight_ih_l0=int8", skip}), kCannot,
              "tensor 'lstm.weight_ih_l0': torch quantizes module 'lstm' as a "
              "whole, and not with 'lstm.weight_hh_l1' as it is (rule "
              "lstm.weight_hh_l1); quantize all of the module, or leave it");
  // A cast is no part of it.
  EXPECT_EQ(ReasonFor(reader, "lstm.weight_ih_l0",
                      {"lstm.weight*=fp16", "lstm.bias*=fp16"}),
            "fp16: rule lstm.weight*");
}

// What shares a weight with a module that stays, stays.
TEST(TorchAoPlanTest, TiedModules) {
  MemoryReader reader;
  AddRecurrent(reader, "a", 4, 3, {"_l0"});
  for (const char* kind : {"ih", "hh"}) {
    for (const char* what : {"weight", "bias"}) {
      const std::string name = absl::StrCat(what, "_", kind, "_l0");
      for (size_t i = 0; i < 4; ++i) {
        if (reader.index().tensors[i].name == "a." + name) {
          reader.AddTie("b." + name, i);
        }
      }
    }
  }
  Add(reader, "b.weight_ih_l1", {12, 3});
  Add(reader, "b.weight_hh_l1", {12, 3});
  Add(reader, "b.bias_ih_l1", {12});
  Add(reader, "b.bias_hh_l1", {12});
  EXPECT_EQ(ReasonFor(reader, "a.weight_ih_l0"), "int8: float weight");
  EXPECT_THAT(ReasonFor(reader, "a.weight_ih_l0", {"b.weight_hh_l1=skip"}),
              HasSubstr("torch quantizes module 'b' as a whole"));
  MemoryReader linear;
  Add(linear, "fc.weight", {4, 4});
  linear.AddTie("attn.out_proj.weight", 0);
  Add(linear, "attn.in_proj_weight", {12, 4});
  EXPECT_THAT(ReasonFor(linear, "fc.weight"), HasSubstr("'attn.out_proj'"));
}

TEST(TorchAoPlanTest, BiasesBecomeFloat32) {
  MemoryReader reader;
  Add(reader, "fc.weight", {4, 4}, DType::kF16);
  const size_t bias = Add(reader, "fc.bias", {4}, DType::kBF16);
  Add(reader, "norm.bias", {4}, DType::kBF16);
  Add(reader, "tied.weight", {4, 4});
  const size_t tied = Add(reader, "tied.bias", {4}, DType::kF16);
  reader.AddTie("again.bias", tied);
  const auto finished = RunPlan(reader, *MakeTorchAo(reader));
  ASSERT_TRUE(finished.ok()) << finished.status();
  const Plan& plan = finished->plan;
  const size_t output = plan.tensors[bias].output;
  EXPECT_EQ(plan.manifest.tensors[output].dtype, DType::kF32);
  EXPECT_EQ(plan.manifest.tensors[plan.tensors[2].output].dtype, DType::kBF16);
  const std::vector<uint8_t>& halves = reader.bytes(bias);
  const std::vector<uint8_t>& floats = finished->output->bytes(output);
  ASSERT_EQ(floats.size(), 2 * halves.size());
  for (size_t i = 0; i < halves.size() / 2; ++i) {
    // A BF16 is the upper half of its F32.
    EXPECT_EQ(floats[4 * i] | floats[4 * i + 1], 0);
    EXPECT_EQ(floats[4 * i + 2], halves[2 * i]);
    EXPECT_EQ(floats[4 * i + 3], halves[2 * i + 1]);
  }
  EXPECT_THAT(ReasonFor(reader, "tied.weight"),
              HasSubstr("a bias of F16 that is tied, where torch has float32"));
}

// Scales are those of monoquant's own storage, as F64; whatever the pieces.
TEST(TorchAoPlanTest, ScalesAndZeroPoints) {
  MemoryReader reader;
  // More rows than are written at a time, in rows of several pieces too.
  Add(reader, "tall.weight", {40000, 4});
  Add(reader, "wide.weight", {3, 40001});
  const auto wide = RunPlan(reader, *MakeTorchAo(reader), 64 << 10);
  ASSERT_TRUE(wide.ok()) << wide.status();
  const auto large = RunPlan(reader, *MakeTorchAo(reader));
  ASSERT_TRUE(large.ok()) << large.status();
  EXPECT_TRUE(wide->output->all() == large->output->all());
  const auto plain = RunPlan(reader, *MakePlan(reader.index(), Recipe()));
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (size_t t = 0; t < 2; ++t) {
    const std::vector<uint8_t>& doubles =
        wide->output->bytes(wide->plan.tensors[t].scale);
    const std::vector<uint8_t>& floats =
        plain->output->bytes(plain->plan.tensors[t].scale);
    ASSERT_EQ(doubles.size(), 2 * floats.size());
    for (size_t i = 0; i < floats.size() / sizeof(float); ++i) {
      double stored;
      float scale;
      std::memcpy(&stored, &doubles[i * sizeof(stored)], sizeof(stored));
      std::memcpy(&scale, &floats[i * sizeof(scale)], sizeof(scale));
      ASSERT_EQ(stored, static_cast<double>(scale));
    }
    const std::vector<uint8_t>& zeros =
        wide->output->bytes(wide->plan.tensors[t].zero_point);
    EXPECT_EQ(zeros, std::vector<uint8_t>(doubles.size(), 0));
    EXPECT_TRUE(wide->output->bytes(wide->plan.tensors[t].output) ==
                plain->output->bytes(plain->plan.tensors[t].output));
  }
}

TEST(TorchAoModulesTest, PartsOfModules) {
  MemoryReader reader;
  Add(reader, "fc.bias", {4});
  Add(reader, "cell.weight_hh", {4, 4});
  Add(reader, "fc.weight", {4, 4});
  Add(reader, "cell.bias_hh", {4});
  Add(reader, "conv.weight", {4, 4, 1});
  Add(reader, "embed.weight", {4, 4});
  const auto modules = FindTorchAoModules(reader.index());
  ASSERT_EQ(modules.size(), 4u);
  EXPECT_EQ(modules[0].name, "cell");
  EXPECT_THAT(modules[0].weights, ElementsAre(1));
  EXPECT_THAT(modules[0].biases, ElementsAre(3));
  EXPECT_EQ(modules[0].problem, "lacks a weight");
  EXPECT_EQ(modules[1].name, "fc");
  EXPECT_THAT(modules[1].weights, ElementsAre(2));
  EXPECT_THAT(modules[1].biases, ElementsAre(0));
  EXPECT_EQ(modules[1].problem, "");
  EXPECT_EQ(modules[1].kind, TorchAoModule::kLinear);
  EXPECT_EQ(modules[2].name, "conv");
  EXPECT_EQ(modules[2].kind, TorchAoModule::kConvolution);
  EXPECT_EQ(modules[2].format(), NumberFormat::kInt8);
  EXPECT_EQ(modules[2].problem, "");
  EXPECT_EQ(modules[3].kind, TorchAoModule::kEmbedding);
  EXPECT_EQ(modules[3].format(), NumberFormat::kUInt8);
  EXPECT_TRUE(modules[3].biases.empty());
}

}  // namespace
}  // namespace monoquant
