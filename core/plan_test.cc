#include "core/plan.h"

#include <map>
#include <string>
#include <vector>

#include "core/layer_kind.h"
#include "core/recipe.h"
#include "core/testing/memory_reader.h"
#include "core/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::MemoryReader;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kCannot = absl::StatusCode::kFailedPrecondition;

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

size_t Add(MemoryReader& reader, const char* name, const Shape& shape,
           DType dtype = DType::kF32) {
  return reader.Add(name, shape, std::vector<float>(Count(shape)), dtype);
}

// A small model with one tensor of every kind.
MemoryReader Model() {
  MemoryReader reader;
  Add(reader, "embed.weight", {100, 64});
  Add(reader, "conv.weight", {16, 8, 3, 3});
  Add(reader, "fc.weight", {32, 256}, DType::kF16);
  Add(reader, "fc.bias", {32});
  Add(reader, "norm.weight", {64, 64});
  reader.AddBytes("steps", DType::kI64, {}, std::vector<uint8_t>(8));
  reader.AddTie("head.weight", 0);
  Add(reader, "out.weight", {10, 100});
  reader.AddBytes("none", DType::kF32, {0, 100}, {});
  reader.mutable_index().metadata = {{"format", "pt"}};
  return reader;
}

Recipe Rules(std::vector<std::string> rules, const char* defaults = "int8") {
  Recipe recipe;
  recipe.defaults = **ParseSchemeSpec(defaults);
  for (const std::string& rule : rules) {
    recipe.rules.push_back(*ParseRule(rule));
  }
  return recipe;
}

// "name: action reason [scheme]" of every tensor.
std::vector<std::string> Lines(const MemoryReader& reader, const Plan& plan) {
  std::vector<std::string> lines;
  for (const TensorPlan& tensor : plan.tensors) {
    std::string line = reader.index().tensors[tensor.input].name + ": ";
    if (tensor.action == Action::kCopy) line += "copy";
    if (tensor.action == Action::kTie) line += "tie";
    if (tensor.action == Action::kQuantize) {
      line += SchemeToString(tensor.scheme);
    }
    lines.push_back(line + " (" + tensor.reason + ")");
  }
  return lines;
}

std::vector<std::string> LinesOf(const Recipe& recipe) {
  const MemoryReader reader = Model();
  const absl::StatusOr<Plan> plan = MakePlan(reader.index(), recipe);
  if (!plan.ok()) return {std::string(plan.status().message())};
  return Lines(reader, *plan);
}

TEST(MakePlanTest, Defaults) {
  EXPECT_THAT(
      LinesOf(Recipe()),
      ::testing::ElementsAre(
          "embed.weight: copy (embedding (name))",
          "conv.weight: int8 axis 0 symmetric (float weight)",
          "fc.weight: int8 axis 0 symmetric (float weight)",
          "fc.bias: copy (1-D)", "norm.weight: copy (normalisation (name))",
          "steps: copy (not float (I64))",
          "head.weight: tie (tied to embed.weight)",
          "out.weight: int8 axis 0 symmetric (float weight)",
          "none: copy (fewer than 512 elements)"));
}

// Where columns are the output channels, they have the scales, unless the
// recipe says otherwise or the output is an engine's.
TEST(MakePlanTest, OutputChannels) {
  MemoryReader reader;
  Add(reader, "h.c_fc.weight", {64, 100});
  Add(reader, "h.c_fc.bias", {100});
  Add(reader, "up.weight", {32, 16, 3, 3});
  Add(reader, "up.bias", {16});
  const auto lines = [&](const Recipe& recipe) {
    const absl::StatusOr<Plan> plan = MakePlan(reader.index(), recipe);
    EXPECT_TRUE(plan.ok()) << plan.status();
    return Lines(reader, *plan);
  };
  EXPECT_THAT(lines(Recipe()),
              ::testing::IsSupersetOf(
                  {"h.c_fc.weight: int8 axis 1 symmetric (float weight)",
                   "up.weight: int8 axis 1 symmetric (float weight)"}));
  EXPECT_THAT(lines(Rules({"h.*weight=int8,axis=0"}, "int4")),
              ::testing::IsSupersetOf(
                  {"h.c_fc.weight: int8 axis 0 symmetric (rule h.*weight)",
                   "up.weight: int4 axis 1 symmetric (float weight; no group "
                   "of 128, 64 or 32 divides its row of 144)"}));
  // torch replaces a Linear, whatever its bias looks like.
  PlanOptions options;
  options.storage = QuantStorage::kTorchAo;
  const absl::StatusOr<Plan> torch_ao =
      MakePlan(reader.index(), Recipe(), options);
  ASSERT_TRUE(torch_ao.ok()) << torch_ao.status();
  for (const TensorPlan& tensor : torch_ao->tensors) {
    EXPECT_EQ(tensor.scheme.axis, 0);
  }
}

TEST(MakePlanTest, FourBitsFallBack) {
  EXPECT_THAT(
      LinesOf(Rules({}, "int4")),
      ::testing::IsSupersetOf(
          {"conv.weight: int4 axis 0 symmetric (float weight; no group of 128, "
           "64 or 32 divides its row of 72)",
           "fc.weight: int4 group 128 symmetric (float weight)"}));
}

TEST(MakePlanTest, RulesComeFirst) {
  EXPECT_THAT(LinesOf(Rules(
                  {"conv*=skip", "*.bias=int8", "*weight=int4", "out.*=fp16"})),
              ::testing::ElementsAre(
                  "embed.weight: int4 group 64 symmetric (rule *weight)",
                  "conv.weight: copy (rule conv*)",
                  "fc.weight: int4 group 128 symmetric (rule *weight)",
                  "fc.bias: int8 tensor symmetric (rule *.bias)",
                  "norm.weight: int4 group 64 symmetric (rule *weight)",
                  "steps: copy (not float (I64))",
                  "head.weight: tie (tied to embed.weight)",
                  "out.weight: int4 axis 0 symmetric (rule *weight; no group "
                  "of 128, 64 or 32 divides its row of 100)",
                  "none: copy (fewer than 512 elements)"));
}

TEST(MakePlanTest, LayerTypes) {
  Recipe recipe = Rules({"out.weight=int4"});
  recipe.layer_types = {LayerKind::kConv2d};
  EXPECT_THAT(LinesOf(recipe),
              ::testing::IsSupersetOf(
                  {"embed.weight: copy (embedding (name))",
                   "conv.weight: int8 axis 0 symmetric (float weight)",
                   "fc.weight: copy (layer type Linear)",
                   // A rule comes first.
                   "out.weight: int4 axis 0 symmetric (rule out.weight; no "
                   "group of 128, 64 or 32 divides its row of 100)"}));
  // Embeddings are quantized where they are listed, tied ones too.
  recipe.layer_types = {LayerKind::kEmbedding};
  EXPECT_THAT(LinesOf(recipe),
              ::testing::IsSupersetOf(
                  {"embed.weight: int8 axis 0 symmetric (float weight)",
                   "conv.weight: copy (layer type Conv2d)",
                   "head.weight: tie (tied to embed.weight)"}));
  recipe.rules.clear();
  MemoryReader reader;
  Add(reader, "lm_head.weight", {100, 64});
  reader.AddTie("wte.weight", 0);
  EXPECT_THAT(Lines(reader, *MakePlan(reader.index(), recipe)),
              ::testing::Contains(
                  "lm_head.weight: int8 axis 0 symmetric (float weight)"));
}

TEST(MakePlanTest, OnlyRules) {
  Recipe recipe = Rules({"out.weight=int8"});
  recipe.only_rules = true;
  EXPECT_THAT(LinesOf(recipe),
              ::testing::IsSupersetOf(
                  {"conv.weight: copy (no rule)", "steps: copy (no rule)",
                   "out.weight: int8 axis 0 symmetric (rule out.weight)"}));
}

// All names of a tied tensor count, whichever the file has first.
TEST(MakePlanTest, TiesAreOneTensor) {
  EXPECT_THAT(LinesOf(Rules({"head.weight=int8"})),
              ::testing::IsSupersetOf(
                  {"embed.weight: int8 axis 0 symmetric (rule head.weight)",
                   "head.weight: tie (tied to embed.weight)"}));
  // The first rule wins, not the first name.
  EXPECT_THAT(
      LinesOf(Rules({"head.weight=skip", "embed.weight=int8"})),
      ::testing::IsSupersetOf({"embed.weight: copy (rule head.weight)"}));
  // An embedding under its second name.
  MemoryReader reader;
  Add(reader, "lm_head.weight", {100, 64});
  reader.AddTie("wte.weight", 0);
  const Plan plan = *MakePlan(reader.index(), Recipe());
  EXPECT_THAT(Lines(reader, plan),
              ::testing::ElementsAre(
                  "lm_head.weight: copy (embedding (name of a tied tensor))",
                  "wte.weight: tie (tied to lm_head.weight)"));
}

TEST(MakePlanTest, SmallGainsAreLeftAlone) {
  MemoryReader reader;
  // A scale of 4 bytes for every code.
  Add(reader, "weight_g", {600, 1, 1});
  Add(reader, "w", {200, 3}, DType::kF16);
  Add(reader, "narrow", {600, 2});
  const Plan plan = *MakePlan(reader.index(), Recipe());
  EXPECT_THAT(
      Lines(reader, plan),
      ::testing::ElementsAre(
          "weight_g: copy (would not get smaller as int8 axis 0 symmetric)",
          "w: copy (would not get smaller as int8 axis 0 symmetric)",
          "narrow: int8 axis 0 symmetric (float weight)"));
  // A rule is an order.
  EXPECT_EQ(MakePlan(reader.index(), Rules({"*=int8"}))->tensors[0].action,
            Action::kQuantize);
}

TEST(MakePlanTest, NothingToDo) {
  EXPECT_THAT(LinesOf(Rules({"none=int8", "fc.weight=fp16"})),
              ::testing::IsSupersetOf(
                  {"none: copy (empty)", "fc.weight: copy (already F16)"}));
}

TEST(MakePlanTest, Keep) {
  const MemoryReader reader = Model();
  PlanOptions options;
  options.keep = {{1, "NaN at index [3, 0, 1, 2]"}, {6, "NaN at index [0, 0]"}};
  const Plan plan = *MakePlan(reader.index(), Rules({"embed*=int8"}), options);
  EXPECT_THAT(
      Lines(reader, plan),
      ::testing::IsSupersetOf({"conv.weight: copy (NaN at index [3, 0, 1, 2])",
                               "embed.weight: copy (NaN at index [0, 0])"}));
  options.keep = {{9, "x"}};
  ExpectError(MakePlan(reader.index(), Recipe(), options), kInvalid,
              "there is no tensor 9 to keep");
}

TEST(MakePlanTest, Errors) {
  const MemoryReader reader = Model();
  const struct {
    Recipe recipe;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {Rules({"fc.wieght=int8"}), kInvalid,
       "dir/model.test: rule 'fc.wieght' matches none of the 9 tensors; did "
       "you mean 'fc.weight'?"},
      {Rules({"zzz*=skip"}), kInvalid,
       "rule 'zzz*' matches none of the 9 tensors; list their names"},
      {Rules({"steps=int8"}), kInvalid,
       "tensor 'steps' has type I64, but rule 'steps' asks for int8; only F16"},
      {Rules({"out.weight=int4,group=64"}), kCannot,
       "tensor 'out.weight': group size 64 does not divide its row of 100 "
       "elements, 50 and 100 would; "},
      {Rules({}, "int4,group=64"), kCannot,
       "tensor 'conv.weight': group size 64 does not divide its row of 72"},
      {Rules({"fc.*=int8,axis=1"}), kCannot,
       "tensor 'fc.bias': axis 1 is out of range for shape [32]"},
  };
  for (const auto& c : cases) {
    ExpectError(MakePlan(reader.index(), c.recipe), c.code, c.message);
  }
  Recipe lenient = Rules({"zzz*=skip", "steps=int8"});
  lenient.allow_unmatched = true;
  EXPECT_TRUE(MakePlan(reader.index(), lenient).ok());
  Recipe wrong;
  wrong.defaults.algorithm = "gptq";
  ExpectError(MakePlan(reader.index(), wrong), kInvalid,
              "defaults: there is no algorithm 'gptq'");
}

TEST(MakePlanTest, NameClash) {
  MemoryReader reader;
  Add(reader, "w", {64, 64});
  Add(reader, "w.zero_point", {3});
  ExpectError(MakePlan(reader.index(), Recipe()), kCannot,
              "tensor 'w.zero_point' has the name that a parameter");
  EXPECT_TRUE(MakePlan(reader.index(), Rules({"w=skip"})).ok());
}

TEST(MakePlanTest, QuantizedInput) {
  MemoryReader reader = Model();
  QuantRecord& record = reader.mutable_index().quant;
  record.version = "0.1.0";
  record.source_name = "model.pt";
  record.tensors.resize(1);
  record.tensors[0].name = "fc.weight";
  ExpectError(MakePlan(reader.index(), Recipe()), kCannot,
              "dir/model.test: is already quantized (tensor 'fc.weight' is "
              "int8 axis 0 symmetric); dequantize it first");
}

// A scale and no zero point, for a tie as well.
TEST(MakePlanTest, ManifestOfFloat8) {
  MemoryReader reader;
  Add(reader, "a", {4, 300}, DType::kF16);
  Add(reader, "b", {4, 256}, DType::kBF16);
  reader.AddTie("t", 1);
  Add(reader, "c", {4, 64}, DType::kF32);
  const Recipe recipe = Rules(
      {"a=fp8_e4m3", "b=fp8_e4m3,group=128", "c=fp4_e2m1,scale_dtype=e8m0"});
  const Plan plan = *MakePlan(reader.index(), recipe);
  std::vector<std::string> outputs;
  for (const OutputTensor& o : plan.manifest.tensors) {
    outputs.push_back(o.name + " " + std::string(DTypeName(o.dtype)) + " " +
                      ShapeToString(o.shape));
  }
  EXPECT_THAT(outputs,
              ::testing::ElementsAre("a F8_E4M3 [4, 300]", "a.scale F32 [4]",
                                     "b F8_E4M3 [4, 256]", "b.scale F32 [4, 2]",
                                     "t F8_E4M3 [4, 256]", "t.scale F32 [4, 2]",
                                     "c U8 [4, 32]", "c.scale F8_E8M0 [4, 2]"));
  EXPECT_EQ(plan.output_bytes, 1200u + 16 + 1024 + 32 + 128 + 8);
  for (const QuantizedTensor& tensor : plan.manifest.record.tensors) {
    EXPECT_EQ(tensor.scale, tensor.name + ".scale");
    EXPECT_EQ(tensor.zero_point, "");
  }
  const Json json = PlanToJson(reader.index(), plan);
  EXPECT_EQ(json.Find("tensors")->AsArray()->at(0).Find("scheme")->ToString(),
            R"({"format":"fp8_e4m3","granularity":"axis","axis":0})");
}

// Weights that engines put together have one global scale; one of several names
// brings the sets of all of them together.
TEST(MakePlanTest, GlobalScales) {
  MemoryReader reader;
  const Shape shape = {4, 32};
  for (const char* name : {"a.q_proj.weight", "a.k_proj.weight",
                           "a.v_proj.weight", "a.o_proj.weight"}) {
    Add(reader, name, shape, DType::kBF16);
  }
  Add(reader, "b.k_proj.weight", shape, DType::kBF16);
  Add(reader, "b.up_proj.weight", shape, DType::kBF16);
  Add(reader, "b.gate_proj.weight", {4, 33}, DType::kBF16);
  reader.AddTie("b.q_proj.weight", 1);
  const auto leaders = [&](const Recipe& recipe) {
    const Plan plan = *MakePlan(reader.index(), recipe);
    std::vector<size_t> found;
    for (const TensorPlan& tensor : plan.tensors) {
      found.push_back(tensor.scale_leader);
    }
    return found;
  };
  const size_t none = kNoTensor;
  EXPECT_THAT(leaders(Rules({"*.gate_proj.weight=skip", "*=nvfp4"})),
              ::testing::ElementsAre(0u, 0u, 0u, 3u, 0u, 5u, none, none));
  // What has another scheme has no part in it.
  EXPECT_THAT(
      leaders(Rules({"*.gate*=skip", "a.q*=int8", "b.k*=mxfp4", "*=nvfp4"})),
      ::testing::ElementsAre(none, 1u, 1u, 3u, none, 5u, none, none));

  Recipe recipe = Rules({}, "nvfp4");
  recipe.min_elements = 0;
  const Plan plan = *MakePlan(reader.index(), recipe);
  EXPECT_THAT(Lines(reader, plan),
              ::testing::Contains(
                  "b.gate_proj.weight: copy (plain has no place for fp4_e2m1 "
                  "axis 0, F8_E4M3 scales; use groups of 16, or leave it as it "
                  "is (--skip))"));
  std::vector<std::string> outputs;
  for (const size_t i : plan.tensors[1].outputs()) {
    const OutputTensor& o = plan.manifest.tensors[i];
    outputs.push_back(o.name + " " + std::string(DTypeName(o.dtype)) + " " +
                      ShapeToString(o.shape));
  }
  EXPECT_THAT(outputs,
              ::testing::ElementsAre("a.k_proj.weight U8 [4, 16]",
                                     "a.k_proj.weight.scale F8_E4M3 [4, 2]",
                                     "a.k_proj.weight.global_scale F32 []"));
  const TensorPlan& tie = plan.tensors[7];
  EXPECT_EQ(plan.manifest.tensors[tie.global_scale].tie,
            plan.tensors[1].global_scale);
  EXPECT_EQ(plan.manifest.record.tensors[1].global_scale,
            "a.k_proj.weight.global_scale");
}

TEST(MakePlanTest, Manifest) {
  MemoryReader reader;
  Add(reader, "a", {4, 300}, DType::kF16);
  Add(reader, "b", {2, 301});
  Add(reader, "c", {600, 2});
  reader.AddTie("t", 1);
  Add(reader, "d", {3});
  const Recipe recipe = Rules({"a=int8,asymmetric", "b=int4,axis=0", "c=bf16"});
  const Plan plan = *MakePlan(reader.index(), recipe);
  std::vector<std::string> outputs;
  for (const OutputTensor& o : plan.manifest.tensors) {
    outputs.push_back(o.name + " " + std::string(DTypeName(o.dtype)) + " " +
                      ShapeToString(o.shape) +
                      (o.tie == kNoTie ? "" : " = " + std::to_string(o.tie)));
    EXPECT_EQ(o.byte_size, ByteSize(o.dtype, o.shape).value());
  }
  EXPECT_THAT(outputs,
              ::testing::ElementsAre(
                  "a I8 [4, 300]", "a.scale F32 [4]", "a.zero_point I8 [4]",
                  "b U8 [2, 151]", "b.scale F32 [2]", "b.zero_point I8 []",
                  "c BF16 [600, 2]", "t U8 [2, 151] = 3", "t.scale F32 [2] = 4",
                  "t.zero_point I8 [] = 5", "d F32 [3]"));
  EXPECT_EQ(plan.input_bytes, 2400u + 2408 + 4800 + 12);
  EXPECT_EQ(plan.output_bytes, 1200u + 16 + 4 + 302 + 8 + 1 + 2400 + 12);
  EXPECT_EQ(plan.tensors[3].scale, 8u);

  const QuantRecord& record = plan.manifest.record;
  EXPECT_EQ(record.version, kVersion);
  EXPECT_EQ(record.source_container, "memory");
  EXPECT_EQ(record.source_name, "model.test");
  EXPECT_EQ(record.recipe, RecipeToJson(recipe).ToString());
  ASSERT_EQ(record.tensors.size(), 4u);
  EXPECT_EQ(record.tensors[0].dtype, DType::kF16);
  EXPECT_EQ(record.tensors[1].shape, (Shape{2, 301}));
  EXPECT_EQ(record.tensors[2].scale, "");
  EXPECT_EQ(record.tensors[3].name, "t");
  EXPECT_EQ(record.tensors[3].zero_point, "t.zero_point");
  EXPECT_EQ(record.tensors[3].scheme, record.tensors[1].scheme);

  // What is written must be readable.
  CheckpointIndex written;
  for (const OutputTensor& o : plan.manifest.tensors) {
    TensorInfo info;
    info.name = o.name;
    info.dtype = o.dtype;
    info.shape = o.shape;
    info.byte_size = o.byte_size;
    info.tie = o.tie;
    written.tensors.push_back(info);
  }
  written.quant = record;
  EXPECT_TRUE(ValidateIndex(written).ok()) << ValidateIndex(written);
}

// What compressed-tensors has no place for is left as it is, unless a rule asks
// for it; its tensors have names of their own.
TEST(MakePlanTest, CompressedTensors) {
  MemoryReader reader = Model();
  Add(reader, "lm_head.weight", {32, 256});
  Add(reader, "mlp.gate.weight", {32, 256});
  const size_t odd = Add(reader, "odd", {32, 256});
  reader.AddTie("odd.weight", odd);
  PlanOptions options;
  options.storage = QuantStorage::kCompressedTensors;
  const Plan plan = *MakePlan(reader.index(), Rules({}, "int4"), options);
  const std::vector<std::string> lines = Lines(reader, plan);
  for (const char* line :
       {"conv.weight: copy (compressed-tensors has no place for a quantized "
        "tensor of 4 dimensions; leave it as it is (--skip))",
        "odd: copy (compressed-tensors has no place for a quantized tensor "
        "whose name does not end in '.weight'; leave it as it is (--skip))",
        "fc.weight: int4 group 128 symmetric, F16 scales (float weight)",
        "lm_head.weight: copy (output layer (name))",
        "mlp.gate.weight: copy (router of experts (name))"}) {
    EXPECT_THAT(lines, ::testing::Contains(line));
  }
  std::vector<std::string> names;
  for (const OutputTensor& o : plan.manifest.tensors) names.push_back(o.name);
  for (const char* name : {"fc.weight_packed", "fc.weight_scale",
                           "fc.weight_shape", "odd", "odd.weight"}) {
    EXPECT_THAT(names, ::testing::Contains(name));
  }
  EXPECT_THAT(names, ::testing::Not(::testing::Contains("fc.weight")));

  ExpectError(MakePlan(reader.index(), Rules({"conv.*=int8"}), options),
              kCannot, "tensor 'conv.weight': compressed-tensors has no place");
  ExpectError(MakePlan(reader.index(), Rules({"odd*=int8"}), options), kCannot,
              "tensor 'odd': compressed-tensors has no place for");
  ExpectError(
      MakePlan(reader.index(), Rules({"fc.weight=int8,asymmetric"}), options),
      kCannot, "tensor 'fc.weight': compressed-tensors has no place for");
  Add(reader, "fc.weight_scale", {4});
  ExpectError(MakePlan(reader.index(), Rules({}), options), kCannot,
              "tensor 'fc.weight_scale' has the name that a parameter");
}

// Matrices by their names and shapes, but of layers that engines do not have.
TEST(MakePlanTest, LayersThatEnginesDoNotHave) {
  MemoryReader reader;
  Add(reader, "h.0.attn.c_attn.weight", {64, 192});
  Add(reader, "h.0.attn.c_attn.bias", {192});
  Add(reader, "h.0.attn.c_proj.weight", {64, 64});
  Add(reader, "wte.weight", {100, 64});
  Add(reader, "mlp.experts.gate_up_proj", {4, 64, 64});
  Add(reader, "fc.weight", {64, 64});
  reader.AddTie("lm_head.weight", 3);
  const std::string transposed =
      "has no place for a weight of [inputs, outputs] (layer type "
      "TransposedLinear); leave it as it is (--skip)";
  const struct {
    const char* name;
    std::string error;
  } cases[] = {
      {"h.0.attn.c_attn.weight", transposed},
      {"h.0.attn.c_proj.weight", transposed},
      {"wte.weight", "has no place for an embedding; leave it as it is"},
      {"lm_head.weight", "has no place for an embedding; leave it as it is"},
      {"mlp.experts.gate_up_proj",
       "has no place for experts that are one tensor; leave it as it is"},
  };
  PlanOptions options;
  for (QuantStorage storage :
       {QuantStorage::kCompressedTensors, QuantStorage::kGptq}) {
    options.storage = storage;
    const Plan plan = *MakePlan(reader.index(), Recipe(), options);
    EXPECT_THAT(plan.tensors[0].reason, ::testing::HasSubstr(transposed));
    EXPECT_THAT(plan.tensors[2].reason, ::testing::HasSubstr(transposed));
    EXPECT_EQ(plan.tensors[3].reason, "embedding (name)");
    EXPECT_THAT(plan.tensors[4].reason, ::testing::HasSubstr(cases[4].error));
    EXPECT_EQ(plan.tensors[5].action, Action::kQuantize);
    for (const auto& c : cases) {
      ExpectError(MakePlan(reader.index(),
                           Rules({std::string(c.name) + "=int8"}), options),
                  kCannot, c.error);
    }
    // Casts are no layers of an engine's.
    EXPECT_TRUE(
        MakePlan(reader.index(), Rules({"*weight=bf16"}), options).ok());
  }
  options.storage = QuantStorage::kPlain;
  EXPECT_TRUE(MakePlan(reader.index(), Rules({"*=int8"}), options).ok());
}

TEST(MakePlanTest, SourceNameIsBare) {
  for (const auto& [path, name] :
       std::map<std::string, std::string>{{"model.pt", "model.pt"},
                                          {"/a/b/model.pt", "model.pt"},
                                          {"a/checkpoint/", "checkpoint"},
                                          {"/", "/"},
                                          {"", ""}}) {
    CheckpointIndex index;
    index.path = path;
    EXPECT_EQ(MakePlan(index, Recipe())->manifest.record.source_name, name);
  }
}

TEST(MakeCopyPlanTest, KeepsEverything) {
  MemoryReader reader = Model();
  reader.mutable_index().quant.version = "0.0.9";
  const Plan plan = *MakeCopyPlan(reader.index());
  ASSERT_EQ(plan.manifest.tensors.size(), 9u);
  for (size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(plan.manifest.tensors[i].name, reader.index().tensors[i].name);
    EXPECT_EQ(plan.tensors[i].output, i);
  }
  EXPECT_EQ(plan.manifest.tensors[6].tie, 0u);
  EXPECT_EQ(plan.tensors[6].action, Action::kTie);
  EXPECT_EQ(plan.manifest.record.version, "0.0.9");
  EXPECT_EQ(plan.manifest.metadata, reader.index().metadata);
  EXPECT_EQ(plan.input_bytes, plan.output_bytes);
}

// monoquant writes what another program quantized, and says so; that is all of
// the record that changes.
TEST(MakeCopyPlanTest, OfAnotherProgram) {
  MemoryReader reader = Model();
  QuantizedTensor tensor;
  tensor.name = "fc.weight";
  reader.mutable_index().quant.tensors.push_back(tensor);
  const Plan plan = *MakeCopyPlan(reader.index());
  const QuantRecord& record = plan.manifest.record;
  EXPECT_EQ(record.version, kVersion);
  EXPECT_EQ(record.source_container, "memory");
  EXPECT_EQ(record.source_name, "model.test");
  EXPECT_EQ(record.recipe, "");
  ASSERT_EQ(record.tensors.size(), 1u);
  EXPECT_EQ(record.tensors[0].name, "fc.weight");
  EXPECT_TRUE(MakeCopyPlan(Model().index())->manifest.record.empty());
  ExpectError(MakePlan(reader.index(), Recipe()), kCannot,
              "is already quantized (tensor 'fc.weight' is int8 axis 0 "
              "symmetric); dequantize it first, or start from the original");
}

// Storages that are only read are not for outputs, whatever they have a place
// for.
TEST(MakePlanTest, StoragesThatAreOnlyRead) {
  MemoryReader reader;
  Add(reader, "fc.weight", {32, 32}, DType::kF16);
  for (QuantStorage storage :
       {QuantStorage::kPackQuantized, QuantStorage::kIntQuantized,
        QuantStorage::kGptqV2, QuantStorage::kTorchaoBlocks}) {
    PlanOptions options;
    options.storage = storage;
    ExpectError(
        MakePlan(reader.index(), Rules({"*=int8,scale_dtype=f16"}), options),
        kCannot, "is read but not written; use");
  }
}

TEST(MakePlanTest, DoubleQuant) {
  MemoryReader reader;
  Add(reader, "a.weight", {8, 128}, DType::kBF16);
  Add(reader, "b.weight", {8, 128}, DType::kBF16);
  PlanOptions options;
  options.storage = QuantStorage::kBitsandbytes;
  const Recipe recipe = Rules({"b.*=nf4"}, "nf4,double_quant");
  const Plan plan = *MakePlan(reader.index(), recipe, options);
  EXPECT_EQ(plan.tensors[0].storage, QuantStorage::kBitsandbytesNested);
  EXPECT_EQ(plan.tensors[1].storage, QuantStorage::kBitsandbytes);
  EXPECT_EQ(plan.tensors[0].scheme, plan.tensors[1].scheme);
  const QuantRecord& record = plan.manifest.record;
  EXPECT_EQ(record.tensors[0].storage, QuantStorage::kBitsandbytesNested);
  EXPECT_EQ(record.tensors[1].storage, QuantStorage::kBitsandbytes);
  const auto output = [&](size_t tensor) {
    return plan.manifest.tensors[plan.tensors[tensor].scale];
  };
  EXPECT_EQ(output(0).name, "a.weight.absmax");
  EXPECT_EQ(output(0).dtype, DType::kU8);
  EXPECT_EQ(output(1).dtype, DType::kF32);
  const Json json = PlanToJson(reader.index(), plan);
  const Json::Array& tensors = *json.Find("tensors")->AsArray();
  EXPECT_EQ(*tensors[0].Find("double_quant"), Json(true));
  EXPECT_EQ(tensors[1].Find("double_quant"), nullptr);

  for (const QuantStorage other :
       {QuantStorage::kPlain, QuantStorage::kCompressedTensors}) {
    options.storage = other;
    for (const Recipe& asks : {recipe, Rules({"a.*=fp4,double_quant"})}) {
      ExpectError(MakePlan(reader.index(), asks, options), kInvalid,
                  "has no place for scales that are quantized (double_quant); "
                  "use --to bitsandbytes, or leave it out");
    }
  }
}

TEST(PlanToJsonTest, Example) {
  MemoryReader reader;
  Add(reader, "fc.weight", {2, 256});
  Add(reader, "fc.bias", {2});
  reader.AddTie("tied", 0);
  const Plan plan = *MakePlan(reader.index(), Recipe());
  EXPECT_EQ(
      PlanToJson(reader.index(), plan).ToString(),
      R"({"schema":"monoquant/plan/1","container":"memory","input_bytes":2056,)"
      R"("output_bytes":529,"nonfinite":"error","tensors":[)"
      R"({"name":"fc.weight","dtype":"F32","shape":[2,256],"bytes":2048,)"
      R"("layer_type":"Linear",)"
      R"("action":"quantize","reason":"float weight","scheme":)"
      R"({"format":"int8","granularity":"axis","axis":0,"symmetric":true,)"
      R"("convention":"torch"},"observer":"minmax","algorithm":"rtn",)"
      R"("outputs":[{"name":"fc.weight","dtype":"I8","shape":[2,256],)"
      R"("bytes":512},{"name":"fc.weight.scale","dtype":"F32","shape":[2],)"
      R"("bytes":8},{"name":"fc.weight.zero_point","dtype":"I8","shape":[],)"
      R"("bytes":1}]},)"
      R"({"name":"fc.bias","dtype":"F32","shape":[2],"bytes":8,)"
      R"("action":"copy","reason":"1-D","outputs":[{"name":"fc.bias",)"
      R"("dtype":"F32","shape":[2],"bytes":8}]},)"
      R"({"name":"tied","dtype":"F32","shape":[2,256],"bytes":2048,)"
      R"("action":"tie","reason":"tied to fc.weight","tied_to":"fc.weight",)"
      R"("outputs":[{"name":"tied","dtype":"I8","shape":[2,256],"bytes":512},)"
      R"({"name":"tied.scale","dtype":"F32","shape":[2],"bytes":8},)"
      R"({"name":"tied.zero_point","dtype":"I8","shape":[],"bytes":1}]}]})");
}

}  // namespace
}  // namespace monoquant
