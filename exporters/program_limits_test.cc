// Guards: each limit of each program, from both sides.

#include "exporters/program_limits.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "exporters/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

QuantizedTensor Weight(QuantStorage storage, Shape shape = {64, 128}) {
  QuantizedTensor weight;
  weight.name = "w";
  weight.scheme.format = NumberFormat::kInt4;
  weight.scheme.granularity = Granularity::kGroup;
  weight.scheme.group_size = 32;
  weight.scheme.scale_dtype = DType::kF16;
  weight.dtype = DType::kF16;
  weight.shape = std::move(shape);
  weight.storage = storage;
  return weight;
}

QuantizedTensor Blocks(QuantStorage storage, Shape shape, int64_t size = 128) {
  QuantizedTensor weight = Weight(storage, std::move(shape));
  weight.scheme.format = NumberFormat::kFp8E4M3;
  weight.scheme.granularity = Granularity::kBlock;
  weight.scheme.group_size = size;
  return weight;
}

std::string Word(Consequence consequence) {
  switch (consequence) {
    case Consequence::kFails:
      return "fails: ";
    case Consequence::kSlower:
      return "slower: ";
    case Consequence::kRounded:
      return "rounded: ";
  }
  return "";
}

std::vector<std::string> Exceeded(const char* program,
                                  const QuantizedTensor& weight) {
  std::vector<std::string> exceeded;
  for (const ExceededLimit& limit :
       LimitsExceeded(**FindProgram(program), weight)) {
    exceeded.push_back(Word(limit.limit->consequence) + limit.what);
  }
  return exceeded;
}

TEST(ProgramLimitsTest, RowsAreWhole) {
  for (const ProgramLimit& limit : AllProgramLimits()) {
    EXPECT_FALSE(limit.programs.empty());
    for (const auto program : limit.programs) {
      EXPECT_TRUE(FindProgram(program).ok()) << program;
    }
    EXPECT_FALSE(limit.storages.empty());
    EXPECT_NE(limit.exceeds, nullptr);
    EXPECT_FALSE(limit.source.empty());
    EXPECT_FALSE(limit.remedy.empty());
  }
}

TEST(ProgramLimitsTest, Marlin) {
  for (const char* program : {"vllm", "sglang"}) {
    for (const QuantStorage storage :
         {QuantStorage::kPackQuantized, QuantStorage::kGptq,
          QuantStorage::kGptqV2, QuantStorage::kAwq}) {
      EXPECT_THAT(Exceeded(program, Weight(storage)), IsEmpty());
      EXPECT_THAT(Exceeded(program, Weight(storage, {96, 128})),
                  ElementsAre(HasSubstr("slower: is [96, 128]")));
      EXPECT_THAT(Exceeded(program, Weight(storage, {64, 192})),
                  ElementsAre(HasSubstr("slower: is [64, 192]")));
      QuantizedTensor weight = Weight(storage);
      weight.scheme.group_size = 16;
      EXPECT_THAT(Exceeded(program, weight),
                  ElementsAre(HasSubstr("for each group of 16; the Marlin")));
      weight.scheme.granularity = Granularity::kTensor;
      EXPECT_THAT(Exceeded(program, weight),
                  ElementsAre(HasSubstr("for each tensor; the Marlin")));
      weight.scheme.granularity = Granularity::kAxis;
      EXPECT_THAT(Exceeded(program, weight), IsEmpty());
      weight.scheme.symmetric = false;
      if (storage == QuantStorage::kGptq || storage == QuantStorage::kGptqV2) {
        EXPECT_THAT(Exceeded(program, weight),
                    ElementsAre(HasSubstr("slower: is asymmetric")));
      } else {
        EXPECT_THAT(Exceeded(program, weight), IsEmpty());
      }
    }
  }
}

TEST(ProgramLimitsTest, ScaleTypes) {
  QuantizedTensor weight = Weight(QuantStorage::kPackQuantized);
  weight.scheme.scale_dtype = DType::kF32;
  EXPECT_THAT(Exceeded("vllm", weight),
              ElementsAre(HasSubstr("rounded: has scales of F32, which become "
                                    "F16")));
  weight.dtype = DType::kF32;
  EXPECT_THAT(Exceeded("vllm", weight), IsEmpty());
  weight = Weight(QuantStorage::kAwq);
  weight.scheme.scale_dtype = DType::kBF16;
  EXPECT_THAT(Exceeded("sglang", weight),
              ElementsAre(HasSubstr("rounded: has scales of BF16; kernels")));
  EXPECT_THAT(Exceeded("transformers", weight), IsEmpty());
}

TEST(ProgramLimitsTest, BlocksOfFloats) {
  for (const QuantStorage storage :
       {QuantStorage::kFp8, QuantStorage::kCompressedTensors}) {
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 256})), IsEmpty());
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {200, 256})),
                ElementsAre(HasSubstr("slower: has 200 rows; weights that")));
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {64, 256})),
                ElementsAre(HasSubstr("slower: has 64 rows")));
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 192})),
                ElementsAre(HasSubstr("slower: has 192 columns")));
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 256}, 64)),
                ElementsAre(HasSubstr("slower: has blocks of 64")));
    // Its only one.
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {64, 128}, 256)),
                ElementsAre(HasSubstr("slower: has 64 rows")));
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 128}, 256)), IsEmpty());
    // Of no known size.
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {200, 256}, 0)), IsEmpty());
  }
}

TEST(ProgramLimitsTest, WhatHasAName) {
  for (const NamedScheme& named : NamedSchemes()) {
    QuantizedTensor weight = Weight(QuantStorage::kCompressedTensors);
    weight.scheme = named.scheme;
    const std::string is = "slower: is " + std::string(named.name) + ", which ";
    EXPECT_THAT(Exceeded("sglang", weight), ElementsAre(HasSubstr(is)));
    if (named.name == "mxfp8") {
      EXPECT_THAT(Exceeded("vllm", weight), ElementsAre(HasSubstr(is)));
    } else {
      EXPECT_THAT(Exceeded("vllm", weight), IsEmpty());
    }
    EXPECT_THAT(Exceeded("transformers", weight), IsEmpty());
    EXPECT_THAT(Exceeded("torch", weight), IsEmpty());
  }
  EXPECT_THAT(
      Exceeded("sglang", Blocks(QuantStorage::kCompressedTensors, {128, 128})),
      IsEmpty());
}

TEST(ProgramLimitsTest, OwnStorage) {
  QuantizedTensor weight = Weight(QuantStorage::kPlain, {3, 5, 7});
  for (const char* program : {"vllm", "sglang", "transformers"}) {
    EXPECT_THAT(Exceeded(program, weight),
                ElementsAre(HasSubstr("fails: is stored as codes and scales")));
  }
  EXPECT_THAT(Exceeded("torch", weight), IsEmpty());
  weight.scheme.format = NumberFormat::kBf16;
  EXPECT_THAT(Exceeded("vllm", weight), IsEmpty());
}

// What is planned is asked about as what will be read.
TEST(ProgramLimitsTest, StoragesRead) {
  QuantScheme scheme;
  const auto read = [&](NumberFormat format, Granularity granularity) {
    scheme.format = format;
    scheme.granularity = granularity;
    return StorageRead(QuantStorage::kCompressedTensors, scheme);
  };
  EXPECT_EQ(read(NumberFormat::kInt4, Granularity::kGroup),
            QuantStorage::kPackQuantized);
  EXPECT_EQ(read(NumberFormat::kInt4, Granularity::kAxis),
            QuantStorage::kPackQuantized);
  EXPECT_EQ(read(NumberFormat::kInt8, Granularity::kGroup),
            QuantStorage::kPackQuantized);
  EXPECT_EQ(read(NumberFormat::kInt8, Granularity::kAxis),
            QuantStorage::kIntQuantized);
  EXPECT_EQ(read(NumberFormat::kFp8E4M3, Granularity::kAxis),
            QuantStorage::kCompressedTensors);
  EXPECT_EQ(StorageRead(QuantStorage::kGptq, scheme), QuantStorage::kGptq);
  EXPECT_THAT(
      Exceeded("vllm", Weight(QuantStorage::kCompressedTensors, {32, 128})),
      ElementsAre(HasSubstr("slower: is [32, 128]")));
}

TEST(ProgramLimitsTest, Experts) {
  const auto expert = [](QuantizedTensor weight) {
    weight.name = "m.experts.3.w2.weight";
    return weight;
  };
  const char* const program = "transformers";
  for (const QuantStorage storage :
       {QuantStorage::kGptq, QuantStorage::kGptqV2, QuantStorage::kAwq,
        QuantStorage::kBitsandbytes, QuantStorage::kBitsandbytesNested,
        QuantStorage::kIntQuantized}) {
    EXPECT_THAT(Exceeded(program, Weight(storage)), IsEmpty());
    EXPECT_THAT(Exceeded(program, expert(Weight(storage))),
                ElementsAre(HasSubstr("fails: is an expert's")));
    EXPECT_THAT(Exceeded("vllm", expert(Weight(storage))), IsEmpty());
  }
  EXPECT_THAT(Exceeded(program, expert(Weight(QuantStorage::kPackQuantized))),
              IsEmpty());
  const Shape shape = {256, 256};
  EXPECT_THAT(Exceeded(program, expert(Blocks(QuantStorage::kFp8, shape))),
              IsEmpty());
  EXPECT_THAT(Exceeded(program,
                       expert(Blocks(QuantStorage::kCompressedTensors, shape))),
              ElementsAre(HasSubstr("FP8 is loaded without blocks only")));
  for (const NamedScheme& named : NamedSchemes()) {
    QuantizedTensor weight = expert(Weight(QuantStorage::kCompressedTensors));
    weight.scheme = named.scheme;
    const size_t limits = Exceeded(program, weight).size();
    EXPECT_EQ(limits, named.name == "mxfp4" ? 0u : 1u) << named.name;
  }
}

TEST(ProgramLimitsTest, FloatExperts) {
  const Program& transformers = **FindProgram("transformers");
  for (const QuantStorage storage :
       {QuantStorage::kPackQuantized, QuantStorage::kIntQuantized,
        QuantStorage::kCompressedTensors}) {
    const FloatExpertLimit* limit =
        FindFloatExpertLimit(transformers, storage, /*as_fp8=*/false);
    ASSERT_NE(limit, nullptr);
    EXPECT_FALSE(limit->what.empty() || limit->source.empty() ||
                 limit->remedy.empty());
    EXPECT_EQ(FindFloatExpertLimit(transformers, storage, /*as_fp8=*/true),
              nullptr);
    EXPECT_EQ(FindFloatExpertLimit(**FindProgram("vllm"), storage, false),
              nullptr);
  }
  EXPECT_EQ(FindFloatExpertLimit(transformers, QuantStorage::kGptq, false),
            nullptr);
}

TEST(ProgramLimitsTest, ActivationScales) {
  EXPECT_TRUE(NeedsActivationScales("bloom"));
  EXPECT_TRUE(NeedsActivationScales("starcoder2"));
  EXPECT_FALSE(NeedsActivationScales("llama"));
  EXPECT_FALSE(NeedsActivationScales(""));
}

TEST(ProgramLimitsTest, Transformers) {
  QuantizedTensor packed = Weight(QuantStorage::kPackQuantized);
  EXPECT_THAT(Exceeded("transformers", packed), IsEmpty());
  packed.scheme.symmetric = false;
  EXPECT_THAT(Exceeded("transformers", packed),
              ElementsAre(HasSubstr("fails: has packed zero points")));
  EXPECT_THAT(Exceeded("transformers", Blocks(QuantStorage::kFp8, {256, 192})),
              ElementsAre(HasSubstr("fails: is [256, 192] in blocks of 128")));
  EXPECT_THAT(Exceeded("transformers", Blocks(QuantStorage::kFp8, {64, 100})),
              IsEmpty());
  EXPECT_THAT(Exceeded("transformers", Weight(QuantStorage::kGptq, {40, 128})),
              ElementsAre(HasSubstr("slower: has 40 rows")));
  EXPECT_THAT(Exceeded("torch", packed), IsEmpty());
}

TEST(WeightsOnlyTest, Globals) {
  for (const char* name :
       {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_qtensor", "torch.FloatStorage",
        "torch.BoolStorage", "torch.QInt8Storage", "torch.cuda.HalfStorage",
        "torch.LongTensor", "torch.cuda.LongTensor", "torch.sparse.FloatTensor",
        "torch.cuda.sparse.FloatTensor", "torch.float32", "torch.qint8",
        "torch.bits8", "torch.Size", "torch.storage.UntypedStorage",
        "torch.nn.parameter.Parameter"}) {
    EXPECT_TRUE(IsWeightsOnlyGlobal(name)) << name;
  }
  for (const char* name :
       {"", "torch", "torch.", "torch.float", "torch.ScriptObject",
        "torch.sparse.FloatStorage", "torch.cuda.QInt8Storage",
        "torch.storage.Tensor", "torch.nn.modules.linear.Linear",
        "torch.Storage", "collections.deque", "numpy.ndarray",
        "argparse.Namespace", "builtins.list"}) {
    EXPECT_FALSE(IsWeightsOnlyGlobal(name)) << name;
  }
}

}  // namespace
}  // namespace monoquant
