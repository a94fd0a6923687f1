// Guards: weights that a program puts together have one scheme, or stay, and
// what a program has no use for stays too.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/testing/memory_reader.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using ::testing::HasSubstr;
using testing::MemoryReader;

constexpr auto kCannot = absl::StatusCode::kFailedPrecondition;

void Add(MemoryReader& reader, const std::string& name, const Shape& shape,
         DType dtype = DType::kF16) {
  const size_t count = static_cast<size_t>(NumElements(shape).value());
  reader.Add(name, shape, std::vector<float>(count), dtype);
}

// An attention with fewer heads for keys and values, and a network.
MemoryReader Model() {
  MemoryReader reader;
  Add(reader, "attn.q_proj.weight", {64, 64});
  Add(reader, "attn.k_proj.weight", {32, 64});
  Add(reader, "attn.v_proj.weight", {32, 64});
  Add(reader, "attn.o_proj.weight", {64, 64});
  Add(reader, "mlp.gate_proj.weight", {128, 64});
  Add(reader, "mlp.up_proj.weight", {128, 64});
  return reader;
}

PlanOptions Fused() {
  PlanOptions options;
  options.storage = QuantStorage::kCompressedTensors;
  options.program = "vLLM";
  options.fused_siblings = true;
  options.fused_experts = true;
  return options;
}

Recipe Rules(const std::vector<std::string>& rules) {
  Recipe recipe;
  for (const std::string& rule : rules) {
    recipe.rules.push_back(*ParseRule(rule));
  }
  return recipe;
}

// "int8: float weight", or the reason why it stays.
std::string ReasonFor(const MemoryReader& reader, absl::string_view name,
                      const Recipe& recipe,
                      const PlanOptions& options = Fused()) {
  const absl::StatusOr<Plan> plan = MakePlan(reader.index(), recipe, options);
  if (!plan.ok()) return std::string(plan.status().message());
  for (const TensorPlan& tensor : plan->tensors) {
    if (reader.index().tensors[tensor.input].name != name) continue;
    if (tensor.action == Action::kCopy) return tensor.reason;
    return absl::StrCat(NumberFormatName(tensor.scheme.format), ": ",
                        tensor.reason);
  }
  return "not there";
}

TEST(WeightSetsTest, OneSchemeIsFine) {
  const MemoryReader reader = Model();
  const Plan plan = *MakePlan(reader.index(), Recipe(), Fused());
  for (const TensorPlan& tensor : plan.tensors) {
    EXPECT_EQ(tensor.action, Action::kQuantize);
    EXPECT_FALSE(tensor.for_program);
  }
  EXPECT_EQ(ReasonFor(reader, "attn.k_proj.weight", Rules({"attn.*=int4"})),
            "int4: rule attn.*");
  // All of them may stay, and casts are as good as floats.
  EXPECT_EQ(ReasonFor(reader, "attn.o_proj.weight",
                      Rules({"attn.?_proj.weight=skip", "attn.*=int4"})),
            "rule attn.?_proj.weight");
  EXPECT_EQ(ReasonFor(reader, "attn.q_proj.weight",
                      Rules({"attn.k*=skip", "attn.*=bf16"})),
            "bf16: rule attn.*");
}

TEST(WeightSetsTest, WhatIsLeftTakesTheOthersAlong) {
  const MemoryReader reader = Model();
  const Recipe skip = Rules({"attn.k_proj.weight=skip"});
  const std::string reason =
      "vLLM puts weights of 'attn' into one matrix and quantizes it as a "
      "whole, and not with 'attn.k_proj.weight' as it is (rule "
      "attn.k_proj.weight)";
  EXPECT_EQ(ReasonFor(reader, "attn.q_proj.weight", skip), reason);
  EXPECT_EQ(ReasonFor(reader, "attn.v_proj.weight", skip), reason);
  EXPECT_EQ(ReasonFor(reader, "attn.o_proj.weight", skip),
            "int8: float weight");
  EXPECT_EQ(ReasonFor(reader, "mlp.up_proj.weight", skip),
            "int8: float weight");
  const Plan plan = *MakePlan(reader.index(), skip, Fused());
  EXPECT_TRUE(plan.tensors[0].for_program);
  EXPECT_FALSE(plan.tensors[1].for_program);
  EXPECT_FALSE(plan.tensors[3].for_program);
  EXPECT_EQ(plan.left_for_program(), 2u);
  // Only where a program is named that does it.
  PlanOptions options = Fused();
  options.fused_siblings = false;
  EXPECT_EQ(ReasonFor(reader, "attn.q_proj.weight", skip, options),
            "int8: float weight");
}

TEST(WeightSetsTest, DefaultsThatDiffer) {
  MemoryReader reader;
  // Scales have the type of the weight.
  Add(reader, "mlp.gate_proj.weight", {32, 64}, DType::kF16);
  Add(reader, "mlp.up_proj.weight", {32, 64}, DType::kBF16);
  EXPECT_THAT(ReasonFor(reader, "mlp.gate_proj.weight", Recipe()),
              HasSubstr("and not with 'mlp.up_proj.weight' as int8 axis 0 "
                        "symmetric, BF16 scales"));
  EXPECT_THAT(ReasonFor(reader, "mlp.up_proj.weight", Recipe()),
              HasSubstr("and not with 'mlp.gate_proj.weight' as int8 axis 0 "
                        "symmetric, F16 scales"));
  // Too small by itself.
  MemoryReader small;
  Add(small, "attn.q_proj.weight", {64, 64});
  Add(small, "attn.k_proj.weight", {4, 64});
  EXPECT_THAT(ReasonFor(small, "attn.q_proj.weight", Recipe()),
              HasSubstr("as it is (fewer than 512 elements)"));
}

TEST(WeightSetsTest, RulesThatAskForIt) {
  const MemoryReader reader = Model();
  const auto plan = [&](const std::vector<std::string>& rules) {
    return MakePlan(reader.index(), Rules(rules), Fused());
  };
  ExpectError(plan({"attn.q*=int4", "attn.k*=skip"}), kCannot,
              "dir/model.test: tensor 'attn.q_proj.weight': vLLM puts weights "
              "of 'attn' into one matrix and quantizes it as a whole, and not "
              "with 'attn.k_proj.weight' as it is (rule attn.k*); give them "
              "one scheme, or leave all of them (--skip)");
  ExpectError(plan({"mlp.up*=int4"}), kCannot,
              "tensor 'mlp.up_proj.weight': vLLM puts weights of 'mlp' into "
              "one matrix and quantizes it as a whole, and not with "
              "'mlp.gate_proj.weight' as int8 axis 0 symmetric, F16 scales; "
              "give them one scheme");
  EXPECT_TRUE(plan({"attn.o*=int4"}).ok());
}

// All experts of a layer, and in each of them what is fused.
TEST(WeightSetsTest, Experts) {
  MemoryReader reader;
  for (const char* expert : {"0", "1"}) {
    for (const char* layer : {"gate_proj", "up_proj", "down_proj"}) {
      Add(reader, absl::StrCat("mlp.experts.", expert, ".", layer, ".weight"),
          {64, 64});
    }
  }
  Add(reader, "other.experts.0.w1.weight", {64, 64});
  Add(reader, "other.experts.1.w1.weight", {64, 64});
  const Recipe skip = Rules({"mlp.experts.1.up_proj.weight=skip"});
  EXPECT_EQ(ReasonFor(reader, "mlp.experts.0.down_proj.weight", skip),
            "vLLM puts the weights of 'mlp.experts' into one tensor and "
            "quantizes it as a whole, and not with "
            "'mlp.experts.1.up_proj.weight' as it is (rule "
            "mlp.experts.1.up_proj.weight)");
  const Plan plan = *MakePlan(reader.index(), skip, Fused());
  for (const TensorPlan& tensor : plan.tensors) {
    const std::string& name = reader.index().tensors[tensor.input].name;
    EXPECT_EQ(tensor.action == Action::kQuantize, name[0] == 'o') << name;
  }
  ExpectError(MakePlan(reader.index(), Rules({"mlp.*.1.*=int4"}), Fused()),
              kCannot,
              "vLLM puts the weights of 'mlp.experts' into one tensor");
  // A program may fuse only one of both.
  PlanOptions options = Fused();
  options.fused_siblings = false;
  EXPECT_THAT(
      ReasonFor(reader, "mlp.experts.0.gate_proj.weight", skip, options),
      HasSubstr("into one tensor"));
  options.fused_siblings = true;
  options.fused_experts = false;
  EXPECT_THAT(
      ReasonFor(reader, "mlp.experts.0.down_proj.weight", skip, options),
      HasSubstr("float weight"));
  EXPECT_THAT(
      ReasonFor(reader, "mlp.experts.1.gate_proj.weight", skip, options),
      HasSubstr("into one matrix"));
}

// What a set leaves is left in all sets that it is in, and reasons do not quote
// reasons.
TEST(WeightSetsTest, OneSetAfterTheOther) {
  MemoryReader reader;
  Add(reader, "a.gate_proj.weight", {64, 64});
  Add(reader, "a.up_proj.weight", {64, 64});
  reader.AddTie("b.gate_proj.weight", 1);
  Add(reader, "b.up_proj.weight", {64, 64});
  const Recipe skip = Rules({"a.gate*=skip"});
  EXPECT_THAT(ReasonFor(reader, "a.up_proj.weight", skip),
              HasSubstr("weights of 'a' into one matrix"));
  EXPECT_EQ(ReasonFor(reader, "b.up_proj.weight", skip),
            "vLLM puts weights of 'b' into one matrix and quantizes it as a "
            "whole, and not with 'b.gate_proj.weight' as it is");
}

absl::Status OnlyWide(const QuantizedTensor& weight) {
  EXPECT_EQ(weight.storage, QuantStorage::kCompressedTensors);
  EXPECT_EQ(weight.dtype, DType::kF16);
  EXPECT_TRUE(HasScales(weight.scheme.format));
  if (weight.shape[0] >= 64) return absl::OkStatus();
  return absl::FailedPreconditionError("vLLM's kernels take 64 rows");
}

// What the kernels of a program do not take, and what is fused with it.
TEST(WeightSetsTest, WhatAProgramHasNoUseFor) {
  const MemoryReader reader = Model();
  PlanOptions options = Fused();
  options.check_weight = OnlyWide;
  EXPECT_EQ(ReasonFor(reader, "attn.k_proj.weight", Recipe(), options),
            "vLLM's kernels take 64 rows");
  EXPECT_THAT(ReasonFor(reader, "attn.q_proj.weight", Recipe(), options),
              HasSubstr("as it is (vLLM's kernels take 64 rows)"));
  const Plan plan = *MakePlan(reader.index(), Recipe(), options);
  std::vector<bool> for_program;
  for (const TensorPlan& tensor : plan.tensors) {
    for_program.push_back(tensor.for_program);
  }
  EXPECT_THAT(for_program,
              ::testing::ElementsAre(true, true, true, false, false, false));
  ExpectError(MakePlan(reader.index(), Rules({"attn.k*=int8"}), options),
              kCannot,
              "tensor 'attn.k_proj.weight': vLLM's kernels take 64 rows");
  // Casts are not quantized.
  EXPECT_TRUE(MakePlan(reader.index(), Rules({"*=bf16"}), options).ok());
}

// It is asked about each name of a weight.
TEST(WeightSetsTest, WhatAProgramHasNoUseForByName) {
  MemoryReader reader;
  Add(reader, "a.weight", {64, 64});
  reader.AddTie("b.weight", 0);
  PlanOptions options;
  options.check_weight = [](const QuantizedTensor& weight) {
    return weight.name == "b.weight"
               ? absl::FailedPreconditionError("no place for b")
               : absl::OkStatus();
  };
  EXPECT_EQ(ReasonFor(reader, "a.weight", Recipe(), options), "no place for b");
}

TEST(WeightSetsTest, WhatAProgramDoesNotLoadAsAWhole) {
  const MemoryReader reader = Model();
  PlanOptions options = Fused();
  options.check_manifest = [](const Manifest& manifest) {
    return manifest.record.tensors.size() == 6
               ? absl::FailedPreconditionError("six are too many")
               : absl::OkStatus();
  };
  ExpectError(MakePlan(reader.index(), Recipe(), options), kCannot,
              "dir/model.test: six are too many");
  EXPECT_TRUE(MakePlan(reader.index(), Rules({"mlp.*=skip"}), options).ok());
}

}  // namespace
}  // namespace monoquant
