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

std::vector<std::string> Exceeded(const char* program,
                                  const QuantizedTensor& weight) {
  std::vector<std::string> exceeded;
  for (const ExceededLimit& limit :
       LimitsExceeded(**FindProgram(program), weight)) {
    exceeded.push_back((limit.limit->fails ? "fails: " : "slower: ") +
                       limit.what);
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
              ElementsAre(HasSubstr("scales of F32, which become F16")));
  weight.dtype = DType::kF32;
  EXPECT_THAT(Exceeded("vllm", weight), IsEmpty());
  weight = Weight(QuantStorage::kAwq);
  weight.scheme.scale_dtype = DType::kBF16;
  EXPECT_THAT(Exceeded("sglang", weight),
              ElementsAre(HasSubstr("scales of BF16; kernels expect F16")));
  EXPECT_THAT(Exceeded("transformers", weight), IsEmpty());
}

TEST(ProgramLimitsTest, BlocksOfFloats) {
  for (const QuantStorage storage :
       {QuantStorage::kFp8, QuantStorage::kCompressedTensors}) {
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 256})), IsEmpty());
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {200, 256})), IsEmpty());
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 192})),
                ElementsAre(HasSubstr("slower: has 192 columns")));
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {256, 256}, 64)),
                ElementsAre(HasSubstr("slower: has blocks of 64")));
    // Its only one.
    EXPECT_THAT(Exceeded("vllm", Blocks(storage, {64, 128}, 256)), IsEmpty());
  }
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
