// Guards: that parts of weights which are missing, left over or of a wrong
// shape are found, whoever looks for them, and numbers that contradict the
// configuration.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "verify/testing.h"

namespace monoquant {
namespace {

using ::testing::AllOf;
using testing::AwqLayer;
using testing::Config;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeFiles;
using testing::FakeTensor;
using testing::FakeTensors;
using testing::FloatLayer;
using testing::Found;
using testing::Fp8Layer;
using testing::GptqLayer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Model;
using testing::Mxfp4Config;
using testing::Mxfp4Layer;
using testing::Mxfp8Config;
using testing::Mxfp8Layer;
using testing::Nf4Layer;
using testing::Nvfp4Config;
using testing::Nvfp4Layer;
using testing::PackedLayer;
using testing::SafetensorsFile;
using testing::Without;
using testing::Words;

std::string GptqConfig(absl::string_view entries) {
  return Config(
      absl::StrCat(R"({"quant_method": "gptq", "bits": 4, "group_size": 32, )",
                   entries, "}"));
}

constexpr absl::string_view kSymmetric = R"("sym": true, "desc_act": false)";

// Codes without parts, and parts without codes, each as one error.
TEST(PartsTest, AreTheirs) {
  const std::string compressed = Config(
      R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
          "quantization_status": "compressed", "config_groups": {"g":
          {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int",
           "strategy": "group", "group_size": 32}}}})");
  const std::string awq =
      Config(R"({"quant_method": "awq", "bits": 4, "group_size": 32,
                 "zero_point": true, "version": "gemm"})");
  const std::string fp8 =
      Config(R"({"quant_method": "fp8", "weight_block_size": [128, 128]})");
  const std::string nf4 =
      Config(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})");
  const struct {
    FakeTensors tensors;
    std::string config;
  } models[] = {
      {PackedLayer("m.a", 32, 64, 32) + PackedLayer("m.b", 32, 64, 32),
       compressed},
      {GptqLayer("m.a", 32, 64, 32) + GptqLayer("m.b", 32, 64, 32),
       GptqConfig(kSymmetric)},
      {AwqLayer("m.a", 32, 64, 32) + AwqLayer("m.b", 32, 64, 32), awq},
      {Fp8Layer("m.a", 128, 256) + Fp8Layer("m.b", 128, 256), fp8},
      {Nf4Layer("m.a", 32, 64) + Nf4Layer("m.b", 32, 64), nf4},
      {Nvfp4Layer("m.a", 32, 64) + Nvfp4Layer("m.b", 32, 64), Nvfp4Config()},
      {Mxfp4Layer("m.a", 32, 64) + Mxfp4Layer("m.b", 32, 64), Mxfp4Config()},
      {Mxfp8Layer("m.a", 32, 64) + Mxfp8Layer("m.b", 32, 64), Mxfp8Config()},
  };
  for (const auto& model : models) {
    EXPECT_THAT(Found(Model(model.tensors, model.config)), IsEmpty())
        << model.config;
    for (const FakeTensor& tensor : model.tensors) {
      const std::vector<std::string> found =
          Found(Model(Without(model.tensors, tensor.name), model.config));
      // The module is named, whichever of its parts is.
      EXPECT_THAT(found, Contains(AllOf(HasSubstr("error tensors"),
                                        HasSubstr(tensor.name.substr(0, 3)))))
          << tensor.name;
    }
  }
}

TEST(GptqTest, ZeroPoints) {
  FakeTensors tensors = GptqLayer("m.a", 32, 64, 32);
  tensors[2].bytes = Words(0x88888888, 8);
  EXPECT_THAT(Found(Model(tensors, GptqConfig(kSymmetric))),
              ElementsAre(HasSubstr("error tensors : m.a.weight: has zero "
                                    "points that are not in the middle, as "
                                    "version 1 stores it")));
  EXPECT_THAT(Found(Model(tensors, GptqConfig(absl::StrCat(
                                       R"("checkpoint_format": "gptq_v2", )",
                                       kSymmetric)))),
              IsEmpty());
  const std::string asymmetric =
      GptqConfig(R"("sym": false, "desc_act": false)");
  EXPECT_THAT(Found(Model(tensors, asymmetric)), IsEmpty());
  tensors[2].bytes = Words(0x8888f888, 1);
  EXPECT_THAT(Found(Model(tensors, asymmetric)),
              ElementsAre(HasSubstr("has zero points of 16, which version 1 "
                                    "cannot have")));
}

TEST(GptqTest, OrderOfColumns) {
  FakeTensors tensors = GptqLayer("m.a", 32, 64, 32);
  tensors[0].bytes = Words(1, 32) + Words(0, 32);
  EXPECT_THAT(Found(Model(tensors, GptqConfig(kSymmetric))),
              ElementsAre(HasSubstr("but desc_act is false")));
  EXPECT_THAT(
      Found(Model(tensors, GptqConfig(R"("sym": true, "desc_act": true)"))),
      IsEmpty());
  tensors[0].bytes = Words(2, 64);
  EXPECT_THAT(Found(Model(tensors, GptqConfig(kSymmetric))),
              ElementsAre(HasSubstr("groups that do not exist")));
}

// ---------------------------------------------------------- bitsandbytes --

TEST(BitsandbytesTest, Parts) {
  const std::string config =
      Config(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})");
  const FakeTensors good = Nf4Layer("m.a", 32, 64);
  const auto found = [&](size_t part, FakeTensor tensor) {
    FakeTensors tensors = good;
    tensor.name = tensors[part].name;
    tensors[part] = std::move(tensor);
    return Found(Model(tensors, config));
  };
  EXPECT_THAT(found(0, {"", DType::kU8, {512, 1}}),
              ElementsAre(HasSubstr(
                  "m.a.weight: is U8 [512, 1], but '*.weight.quant_state."
                  "bitsandbytes__nf4' says that the weight is [32, 64]")));
  EXPECT_THAT(found(1, {"", DType::kF32, {31}}),
              ElementsAre(HasSubstr("its scales '*.weight.absmax' are F32 "
                                    "[31], expected F32 [32]")));
  EXPECT_THAT(found(3, {"", DType::kU8, {2}, "{}"}),
              Contains(HasSubstr("quant_state.bitsandbytes__nf4: says that "
                                 "quant_type is nothing")));
  EXPECT_THAT(found(3, {"", DType::kU8, {2}, "{x"}),
              Contains(HasSubstr("quant_state.bitsandbytes__nf4: holds no "
                                 "JSON object")));
}

// All weights are looked at, and what is wrong with several of them in the same
// way is one finding.
TEST(BitsandbytesTest, AllWeights) {
  const std::string config =
      Config(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})");
  FakeTensors tensors = Nf4Layer("m.a", 32, 64) + Nf4Layer("m.b", 32, 64) +
                        Nf4Layer("m.c", 32, 64) + Nf4Layer("m.d", 32, 64);
  for (const char* name :
       {"m.a.weight.absmax", "m.b.weight.absmax", "m.c.weight.quant_map"}) {
    tensors = Without(tensors, name);
  }
  EXPECT_THAT(
      Found(Model(tensors, config)),
      ElementsAre(HasSubstr("error tensors : m.a.weight, m.b.weight: its "
                            "scales '*.weight.absmax' are missing"),
                  HasSubstr("error tensors : m.c.weight: its numbers of codes "
                            "'*.weight.quant_map' are missing")));
}

// What programs load and monoquant does not read is no error.
TEST(BitsandbytesTest, BlocksOverTheEndsOfRows) {
  FakeTensors tensors = Nf4Layer("m.a", 64, 96);
  EXPECT_THAT(
      Found(Model(tensors, Config(R"({"quant_method": "bitsandbytes",
                                      "load_in_4bit": true})"))),
      ElementsAre(HasSubstr("warning tensors : m.a.weight: has blocks of 64 "
                            "that go over the ends of its rows of 96")));
}

// Codes that are stored so look like a matrix of floats.
TEST(BitsandbytesTest, CodesInElementsOfFloats) {
  FakeTensors tensors = Nf4Layer("m.a", 32, 64);
  tensors[0] = {"m.a.weight", DType::kBF16, {512, 1}};
  EXPECT_THAT(
      Found(Model(tensors, Config(R"({"quant_method": "bitsandbytes",
                                      "load_in_4bit": true})"))),
      ElementsAre(HasSubstr("warning tensors : m.a.weight: has codes in "
                            "elements of BF16 (bnb_4bit_quant_storage)")));
}

TEST(BitsandbytesTest, CodesAlone) {
  EXPECT_THAT(Found(Model(Nf4Layer("m.a", 32, 64) +
                              FakeTensors{{"m.b.weight", DType::kU8, {8, 1}}},
                          Config(R"({"quant_method": "bitsandbytes",
                                     "load_in_4bit": true})"))),
              ElementsAre(HasSubstr("error tensors : m.b.weight: has codes of "
                                    "4 bits, but no '*.weight.quant_state")));
}

TEST(BitsandbytesTest, DoubleQuantization) {
  FakeTensors tensors = Nf4Layer("m.a", 32, 64);
  const std::string state =
      R"({"quant_type": "nf4", "blocksize": 64, "shape": [32, 64],
          "dtype": "float16", "nested_blocksize": 256,
          "nested_dtype": "float32", "nested_offset": 0.5})";
  tensors[3].shape = {static_cast<int64_t>(state.size())};
  tensors[3].bytes = state;
  tensors[1].dtype = DType::kU8;
  const std::string config =
      Config(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})");
  EXPECT_THAT(Found(Model(tensors, config)),
              ElementsAre(HasSubstr("'*.weight.nested_absmax' are missing"),
                          HasSubstr("'*.weight.nested_quant_map' are "
                                    "missing")));
  tensors = tensors +
            FakeTensors{{"m.a.weight.nested_absmax", DType::kF32, {1}},
                        {"m.a.weight.nested_quant_map", DType::kF32, {256}}};
  EXPECT_THAT(Found(Model(tensors, config)), IsEmpty());
}

TEST(BitsandbytesTest, EightBits) {
  const std::string config =
      Config(R"({"quant_method": "bitsandbytes", "load_in_8bit": true})");
  FakeTensors tensors = {{"m.a.weight", DType::kI8, {32, 64}},
                         {"m.a.SCB", DType::kF32, {32}}};
  EXPECT_THAT(Found(Model(tensors, config)), IsEmpty());
  tensors[1].shape = {31};
  EXPECT_THAT(Found(Model(tensors, config)),
              Contains(HasSubstr("m.a.weight: its scales '*.SCB' are F32 "
                                 "[31], expected F32 [32]")));
  EXPECT_THAT(Found(Model(Without(tensors, "m.a.weight"), config)),
              Contains(HasSubstr("m.a.SCB: belongs to '*.weight', which is "
                                 "missing")));
}

// --------------------------------------------------------------- torchao --

TEST(TorchaoTest, Metadata) {
  const FakeTensors tensors = {{"m.a._weight_qdata", DType::kI8, {32, 64}},
                               {"m.a._weight_scale", DType::kF32, {32, 1}},
                               {"m.norm.weight", DType::kF32, {32}}};
  const auto found = [&](absl::string_view names, absl::string_view weight,
                         const FakeTensors& stored) {
    Json metadata;
    metadata.Set("tensor_names", names);
    metadata.Set("m.a.weight", weight);
    metadata.Set("m.norm.weight", R"({"_type": "Tensor"})");
    return Found(
        FakeFiles{{"model.safetensors", SafetensorsFile(stored, metadata)},
                  {"config.json", Config(R"({"quant_method": "torchao"})")}});
  };
  constexpr absl::string_view kNames = R"(["m.a.weight", "m.norm.weight"])";
  constexpr absl::string_view kWeight =
      R"({"_type": "Int8Tensor", "_tensor_data_names": ["qdata", "scale"],
          "_data": {"block_size": [1, 64],
                    "dtype": {"_type": "torch.dtype", "_data": "float32"}}})";
  EXPECT_THAT(found(kNames, kWeight, tensors), IsEmpty());
  EXPECT_THAT(found("x", kWeight, tensors),
              ElementsAre(HasSubstr("has no list of tensors")));
  EXPECT_THAT(found(R"(["m.a.weight"])", kWeight, tensors),
              ElementsAre(HasSubstr("error tensors : m.norm.weight: is not "
                                    "among the tensors that the metadata")));
  EXPECT_THAT(found(kNames, "{}", tensors),
              Contains(HasSubstr("m.a.weight: is in the list of tensors, but "
                                 "the metadata does not say what it is")));
  EXPECT_THAT(found(kNames, kWeight, Without(tensors, "m.norm.weight")),
              ElementsAre(HasSubstr("m.norm.weight: is described, but "
                                    "missing")));
  EXPECT_THAT(found(kNames, kWeight, Without(tensors, "m.a._weight_scale")),
              ElementsAre(HasSubstr("m.a._weight_qdata: its scales "
                                    "'*._weight_scale' are missing"),
                          HasSubstr("m.a.weight: has no part "
                                    "m.a._weight_scale")));
}

// ---------------------------------------------------------------- others --

TEST(TypesTest, ThatTorchDoesNotHave) {
  EXPECT_THAT(Found(Model({{"a", DType::kF6E2M3, {4}}})),
              ElementsAre(HasSubstr("error tensors : a: is F6_E2M3")));
}

TEST(OutputLayerTest, TiedOrNot) {
  const FakeTensors tensors = FloatLayer("model.embed_tokens", 8, 64);
  const auto config = [](absl::string_view tied) {
    return absl::StrCat(
        R"({"architectures": ["XForCausalLM"], "tie_word_embeddings": )", tied,
        "}");
  };
  EXPECT_THAT(Found(Model(tensors, config("true"))), IsEmpty());
  EXPECT_THAT(Found(Model(tensors, config("false"))),
              ElementsAre(HasSubstr("error tensors config.json: : says that "
                                    "the output layer is not tied")));
  EXPECT_THAT(
      Found(Model(tensors + FloatLayer("lm_head", 8, 64), config("false"))),
      IsEmpty());
  EXPECT_THAT(
      Found(
          Model(GptqLayer("lm_head", 32, 64, 32),
                Config(R"({"quant_method": "gptq", "bits": 4, "group_size": 32,
                     "sym": true, "desc_act": false})",
                       R"(, "tie_word_embeddings": true)"))),
      ElementsAre(HasSubstr("warning tensors config.json: lm_head.weight: is "
                            "quantized, but tied")));
}

}  // namespace
}  // namespace monoquant
