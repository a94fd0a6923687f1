// Guards: what plans and outputs for a program are refused.

#include "exporters/program_checks.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "exporters/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;

constexpr auto kCannot = absl::StatusCode::kFailedPrecondition;
constexpr auto kCompressed = QuantStorage::kCompressedTensors;

QuantScheme Scheme(NumberFormat format, Granularity granularity,
                   int64_t group_size = 0) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  scheme.group_size = group_size;
  return scheme;
}

QuantScheme Int4() {
  return Scheme(NumberFormat::kInt4, Granularity::kGroup, 32);
}

QuantScheme Named(const std::string& name) {
  for (const NamedScheme& named : NamedSchemes()) {
    if (named.name == name) return named.scheme;
  }
  ADD_FAILURE() << name;
  return QuantScheme();
}

// As a plan asks about it.
QuantizedTensor Weight(QuantStorage storage, const QuantScheme& scheme,
                       Shape shape = {128, 128},
                       const std::string& name = "m.fc.weight") {
  QuantizedTensor weight;
  weight.name = name;
  weight.scheme = scheme;
  weight.dtype = DType::kF16;
  weight.shape = std::move(shape);
  weight.storage = storage;
  return weight;
}

// `error` begins after "for PROGRAM: it "; empty for none.
void Expect(const char* name, const QuantizedTensor& weight,
            const std::string& error) {
  const Program& program = **FindProgram(name);
  const absl::Status status = CheckWeight(program, weight);
  if (error.empty()) {
    EXPECT_TRUE(status.ok()) << name << ": " << status;
  } else {
    ExpectError(status, kCannot,
                absl::StrCat("for ", program.title, ": it ", error));
  }
}

TEST(ProgramChecksTest, KernelsOfEngines) {
  const QuantScheme groups =
      Scheme(NumberFormat::kInt4, Granularity::kGroup, 128);
  const QuantScheme small =
      Scheme(NumberFormat::kInt4, Granularity::kGroup, 16);
  const QuantScheme rows = Scheme(NumberFormat::kInt4, Granularity::kAxis);
  const QuantScheme int8 = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  const QuantScheme blocks =
      Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128);
  QuantScheme asymmetric = groups;
  asymmetric.symmetric = false;
  const struct {
    QuantStorage storage;
    const QuantScheme& scheme;
    Shape shape;
    const char* error;
  } cases[] = {
      {kCompressed, groups, {64, 128}, ""},
      {kCompressed, rows, {64, 128}, ""},
      {kCompressed,
       groups,
       {32, 128},
       "is [32, 128]; the Marlin kernel takes multiples of 64 rows and 128 "
       "columns; leave it as it is (--skip)"},
      {kCompressed, rows, {64, 64}, "is [64, 64]; the Marlin kernel takes"},
      {kCompressed,
       small,
       {64, 128},
       "has a scale for each group of 16; the Marlin kernel takes groups of "
       "32, 64 and 128, and rows; quantize in groups of 32, 64 or 128, or by "
       "rows (-g"},
      // Multiplied as INT8, by other kernels.
      {kCompressed, int8, {7, 64}, ""},
      {kCompressed,
       Scheme(NumberFormat::kInt8, Granularity::kGroup, 64),
       {7, 64},
       "is [7, 64]; the Marlin kernel takes"},
      {kCompressed,
       Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
       {7, 64},
       ""},
      {kCompressed, blocks, {128, 256}, ""},
      {kCompressed,
       blocks,
       {64, 256},
       "has 64 rows; weights that are laid side by side in blocks of 128, or "
       "spread over GPUs, need a multiple of it; leave it as it is (--skip)"},
      {QuantStorage::kFp8, blocks, {128, 64}, "has 64 columns; kernels for"},
      {QuantStorage::kGptq, groups, {64, 128}, ""},
      {QuantStorage::kGptq, int8, {32, 128}, "is [32, 128]; the Marlin"},
      {QuantStorage::kGptq,
       asymmetric,
       {64, 128},
       "is asymmetric; the Marlin kernel takes weights of GPTQ that are "
       "symmetric; quantize symmetrically, or use --to awq"},
      {QuantStorage::kAwq, asymmetric, {64, 128}, ""},
      {QuantStorage::kAwq, asymmetric, {8, 128}, "is [8, 128]; the Marlin"},
      {QuantStorage::kBitsandbytes,
       Scheme(NumberFormat::kNf4, Granularity::kGroup, 64),
       {7, 64},
       ""},
      {QuantStorage::kPlain,
       int8,
       {64, 128},
       "is stored as codes and scales that only monoquant knows; use --to "
       "compressed-tensors, or a cast such as --type bf16"},
      {QuantStorage::kPlain, blocks, {64, 128}, "is stored as codes and"},
      {QuantStorage::kPlain, int8, {4, 4, 3, 3}, "is stored as codes and"},
  };
  for (const char* program : {"vllm", "sglang"}) {
    for (const auto& c : cases) {
      Expect(program, Weight(c.storage, c.scheme, c.shape), c.error);
    }
  }
}

TEST(ProgramChecksTest, NamedSchemesOfEngines) {
  for (const char* name : {"mxfp4", "nvfp4"}) {
    Expect("vllm", Weight(kCompressed, Named(name)), "");
    Expect("sglang", Weight(kCompressed, Named(name)),
           absl::StrCat("is ", name, ", which is not known to be loaded; "));
    Expect("transformers", Weight(kCompressed, Named(name)), "");
  }
  Expect("vllm", Weight(kCompressed, Named("mxfp8")),
         "is mxfp8, which no kernel is known for; use nvfp4, mxfp4 or fp8");
  Expect("sglang", Weight(kCompressed, Named("mxfp8")), "is mxfp8, which");
  Expect("transformers", Weight(kCompressed, Named("mxfp8")), "");
}

// Scales that are only rounded stop no plan.
TEST(ProgramChecksTest, RoundedScales) {
  QuantScheme scheme = Int4();
  scheme.scale_dtype = DType::kF32;
  Expect("vllm", Weight(kCompressed, scheme), "");
}

TEST(ProgramChecksTest, WhatTransformersLoads) {
  QuantScheme scheme = Scheme(NumberFormat::kInt4, Granularity::kGroup, 16);
  Expect("transformers", Weight(kCompressed, scheme, {7, 16}), "");
  scheme.symmetric = false;
  Expect("transformers", Weight(QuantStorage::kGptq, scheme, {32, 16}), "");
  Expect("transformers", Weight(kCompressed, scheme, {7, 16}),
         "has packed zero points; load it with "
         "CompressedTensorsConfig(dequantize=True), or quantize "
         "symmetrically");
  Expect("transformers", Weight(QuantStorage::kPlain, scheme, {7, 16}),
         "is stored as codes and scales that only monoquant knows");
  Expect("torch", Weight(QuantStorage::kPlain, scheme, {7, 16}), "");
}

TEST(ProgramChecksTest, ExpertsInTransformers) {
  const QuantScheme fp8 = Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis);
  const QuantScheme blocks =
      Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128);
  const struct {
    QuantStorage storage;
    QuantScheme scheme;
    const char* error;
  } cases[] = {
      {QuantStorage::kGptq, Int4(), "is an expert's; all experts get random"},
      {QuantStorage::kAwq, Int4(), "is an expert's; all experts get random"},
      {QuantStorage::kBitsandbytes,
       Scheme(NumberFormat::kNf4, Granularity::kGroup, 64),
       "is an expert's, which are loaded as floats; leave experts as they are "
       "(--skip '*.experts.*')"},
      {kCompressed, Int4(), ""},
      {kCompressed, Scheme(NumberFormat::kInt8, Granularity::kGroup, 64), ""},
      {kCompressed, Scheme(NumberFormat::kInt8, Granularity::kAxis),
       "is an expert's, of which integers are loaded in packed words only; "
       "give experts groups of integers"},
      {kCompressed, fp8, ""},
      {kCompressed, blocks, "is an expert's, of which FP8 is loaded without"},
      {QuantStorage::kFp8, blocks, ""},
      {kCompressed, Named("mxfp4"), ""},
      {kCompressed, Named("mxfp8"), "is an expert's, of which FP8 is loaded"},
      {kCompressed, Named("nvfp4"), "is an expert's, of which the global"},
  };
  for (const auto& c : cases) {
    const Shape shape = {256, 256};
    Expect("transformers",
           Weight(c.storage, c.scheme, shape, "m.experts.0.up_proj.weight"),
           c.error);
    Expect("transformers", Weight(c.storage, c.scheme, shape), "");
  }
  // One block is one scale.
  Expect("transformers",
         Weight(kCompressed, blocks, {128, 128}, "m.experts.0.w1.weight"), "");
  Expect(
      "vllm",
      Weight(QuantStorage::kGptq, Int4(), {64, 128}, "m.experts.0.w1.weight"),
      "");
}

// ------------------------------------------------------------ whole outputs --

// A manifest of quantized weights and, as floats, others.
Manifest Output(std::vector<QuantizedTensor> weights,
                const std::vector<std::string>& floats = {}) {
  Manifest manifest;
  for (const QuantizedTensor& weight : weights) {
    OutputTensor codes;
    codes.name = weight.name;
    codes.dtype = DType::kI8;
    codes.shape = weight.shape;
    manifest.tensors.push_back(std::move(codes));
  }
  for (const std::string& name : floats) {
    OutputTensor tensor;
    tensor.name = name;
    tensor.dtype = DType::kF16;
    tensor.shape = {128, 128};
    manifest.tensors.push_back(std::move(tensor));
  }
  manifest.record.tensors = std::move(weights);
  return manifest;
}

QuantizedTensor Ct(const std::string& name,
                   const QuantScheme& scheme = Int4()) {
  return Weight(kCompressed, scheme, {128, 128}, name);
}

absl::Status Check(const char* program, const Manifest& manifest) {
  return CheckManifest(**FindProgram(program), manifest);
}

TEST(ProgramChecksTest, Manifests) {
  const Manifest good = Output({Ct("a.q_proj.weight"), Ct("a.k_proj.weight")},
                               {"a.o_proj.weight", "lm_head.weight"});
  for (const Program& program : AllPrograms()) {
    EXPECT_TRUE(CheckManifest(program, good).ok()) << program.name;
    EXPECT_TRUE(CheckManifest(program, Manifest()).ok()) << program.name;
  }
  ExpectError(Check("vllm", Output({Weight(QuantStorage::kGptq, Int4(),
                                           {32, 128}, "b.weight")})),
              kCannot, "tensor 'b.weight': for vLLM: it is [32, 128]; the");
  // A cast is no quantized weight.
  EXPECT_TRUE(
      Check("vllm",
            Output({Weight(QuantStorage::kPlain,
                           Scheme(NumberFormat::kBf16, Granularity::kAxis))}))
          .ok());
}

TEST(ProgramChecksTest, WeightsThatArePutTogether) {
  const Manifest mixed =
      Output({Ct("a.q_proj.weight")}, {"a.k_proj.weight", "a.o_proj.weight"});
  for (const char* program : {"vllm", "sglang"}) {
    ExpectError(Check(program, mixed), kCannot,
                "is not quantized, but 'a.q_proj.weight', which is loaded as "
                "one matrix with it, is int4 group 32 symmetric; quantize "
                "them alike");
  }
  EXPECT_TRUE(Check("transformers", mixed).ok());
  const Manifest experts =
      Output({Ct("a.experts.0.w2.weight"),
              Ct("a.experts.1.w2.weight",
                 Scheme(NumberFormat::kInt4, Granularity::kGroup, 64))});
  for (const char* program : {"vllm", "sglang", "transformers"}) {
    ExpectError(Check(program, experts), kCannot,
                "tensor 'a.experts.1.w2.weight': for ");
  }
  EXPECT_TRUE(Check("torch", experts).ok());
}

TEST(ProgramChecksTest, FloatExpertsInTransformers) {
  const std::vector<std::string> experts = {"a.experts.0.w2.weight",
                                            "a.experts.1.w2.weight"};
  const QuantScheme fp8 = Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis);
  for (const QuantScheme& scheme :
       {Int4(), Scheme(NumberFormat::kInt8, Granularity::kAxis),
        Named("mxfp4")}) {
    const Manifest output = Output({Ct("a.o_proj.weight", scheme)}, experts);
    ExpectError(Check("transformers", output), kCannot,
                "tensor 'a.experts.0.w2.weight': for Transformers: it is an "
                "expert's and not quantized, but all experts are loaded as "
                "quantized like other weights; give experts groups");
    EXPECT_TRUE(Check("vllm", output).ok());
  }
  EXPECT_TRUE(
      Check("transformers", Output({Ct("a.o_proj.weight", fp8)}, experts))
          .ok());
  // What the experts of other layers are, decides.
  const Manifest others =
      Output({Ct("a.o_proj.weight", fp8), Ct("b.experts.0.w2.weight"),
              Ct("b.experts.1.w2.weight")},
             experts);
  EXPECT_FALSE(Check("transformers", others).ok());
  // Other storages have a place for each layer.
  EXPECT_TRUE(Check("transformers",
                    Output({Weight(QuantStorage::kGptq, Int4())}, experts))
                  .ok());
}

// It has a tensor for each name, of all experts.
TEST(ProgramChecksTest, FloatsAmongExpertsInTransformers) {
  const QuantScheme fp8 = Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis);
  const QuantScheme other =
      Scheme(NumberFormat::kFp8E4M3, Granularity::kTensor);
  const std::vector<std::string> down = {"a.experts.0.w2.weight",
                                         "a.experts.1.w2.weight"};
  const Manifest output = Output(
      {Ct("a.experts.0.w1.weight", fp8), Ct("a.experts.1.w1.weight", fp8)},
      down);
  EXPECT_TRUE(Check("transformers", output).ok());
  ExpectError(Check("vllm", output), kCannot, "quantize them alike");
  ExpectError(Check("transformers", Output({Ct("a.experts.0.w1.weight", fp8),
                                            Ct("a.experts.1.w1.weight", fp8),
                                            Ct("a.experts.0.w2.weight", fp8)},
                                           {"a.experts.1.w2.weight"})),
              kCannot,
              "tensor 'a.experts.1.w2.weight': for Transformers: it is not "
              "quantized, but 'a.experts.0.w2.weight'");
  ExpectError(Check("transformers", Output({Ct("a.experts.0.w1.weight", fp8),
                                            Ct("a.experts.1.w1.weight", fp8),
                                            Ct("a.experts.0.w3.weight", other),
                                            Ct("a.experts.1.w3.weight", other)},
                                           down)),
              kCannot, "tensor 'a.experts.0.w3.weight': for Transformers");
  // Of the method fp8 all are FP8, or none.
  const QuantScheme blocks =
      Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128);
  ExpectError(Check("transformers",
                    Output({Weight(QuantStorage::kFp8, blocks, {128, 128},
                                   "a.experts.0.w1.weight"),
                            Weight(QuantStorage::kFp8, blocks, {128, 128},
                                   "a.experts.1.w1.weight")},
                           down)),
              kCannot, "quantize them alike");
}

TEST(ProgramChecksTest, Differences) {
  const std::vector<QuantizedTensor> weights = {Ct("a.w1.weight")};
  TensorInfo other;
  other.name = "a.w3.weight";
  other.shape = {64, 128};
  const std::vector<Difference> found =
      FindDifferences(/*fused=*/true, /*experts=*/true, weights, {other});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].weight, "a.w3.weight");
  EXPECT_EQ(found[0].scheme, "not quantized");
  EXPECT_EQ(found[0].first, "a.w1.weight");
  EXPECT_EQ(found[0].first_scheme, "int4 group 32 symmetric");
  EXPECT_TRUE(FindDifferences(false, true, weights, {other}).empty());
  EXPECT_TRUE(FindDifferences(true, true, {}, {other}).empty());
}

TEST(ProgramChecksTest, FloatExperts) {
  TensorInfo info;
  info.shape = {8, 8};
  std::vector<TensorInfo> tensors;
  for (const char* name :
       {"a.experts.0.w1.weight", "a.experts.1.w1.weight", "a.experts.1.w1.bias",
        "a.shared_experts.w1.weight", "a.experts.gate_up_proj"}) {
    info.name = name;
    tensors.push_back(info);
  }
  info.name = "a.experts.2.w1.weight";
  info.dtype = DType::kI8;
  tensors.push_back(info);
  EXPECT_THAT(FloatExperts({Ct("a.experts.1.w1.weight")}, tensors),
              ElementsAre("a.experts.0.w1.weight"));
}

TEST(ProgramChecksTest, OptionsOfPlans) {
  const PlanOptions none = PlanOptionsFor(QuantStorage::kGptq, nullptr);
  EXPECT_EQ(none.storage, QuantStorage::kGptq);
  EXPECT_EQ(none.check_weight, nullptr);
  EXPECT_FALSE(none.fused_siblings || none.fused_experts);
  const PlanOptions options =
      PlanOptionsFor(QuantStorage::kGptq, *FindProgram("transformers"));
  EXPECT_EQ(options.program, "Transformers");
  EXPECT_FALSE(options.fused_siblings);
  EXPECT_TRUE(options.fused_experts);
  const QuantizedTensor expert =
      Weight(QuantStorage::kGptq, Int4(), {64, 128}, "a.experts.0.w1.weight");
  EXPECT_FALSE(options.check_weight(expert).ok());
  EXPECT_FALSE(options.check_manifest(Output({expert})).ok());
}

}  // namespace
}  // namespace monoquant
