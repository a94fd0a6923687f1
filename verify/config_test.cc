// Guards: that a configuration which does not fit the tensors is found, method
// by method, and that one which fits is not.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "verify/testing.h"

namespace monoquant {
namespace {

using testing::AwqLayer;
using testing::Config;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeFiles;
using testing::FakeTensors;
using testing::FloatConfig;
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

// --------------------------------------------------------- quant_method --

TEST(MethodTest, IsMissing) {
  const FakeTensors tensors = GptqLayer("a", 32, 64, 32);
  EXPECT_THAT(Found(Model(tensors)),
              ElementsAre(HasSubstr("error config : a.qweight: is quantized, "
                                    "but there is no config.json")));
  EXPECT_THAT(
      Found(Model(tensors, "{}")),
      ElementsAre(HasSubstr("error config config.json: a.qweight: is "
                            "quantized, but config.json has no "
                            "quantization_config: its codes are loaded")));
  EXPECT_THAT(Found(Model(tensors, Config("{}"))),
              ElementsAre(HasSubstr("has no quant_method")));
  EXPECT_THAT(Found(Model(tensors, "{")),
              ElementsAre(HasSubstr("error config config.json: : ")));
  EXPECT_THAT(Found(Model(FloatLayer("a", 8, 8))), IsEmpty());
}

TEST(MethodTest, IsAnother) {
  const FakeTensors tensors = FloatLayer("a", 8, 8);
  EXPECT_THAT(Found(Model(tensors, Config(R"({"quant_method": "gtpq"})"))),
              ElementsAre(HasSubstr("error config config.json: : has the "
                                    "quant_method \"gtpq\", which no program "
                                    "knows")));
  EXPECT_THAT(Found(Model(tensors, Config(R"({"quant_method": "hqq"})"))),
              ElementsAre(HasSubstr("warning config config.json: : has the "
                                    "quant_method \"hqq\"")));
  EXPECT_THAT(Found(Model(tensors, Config(R"({"quant_method": "fp8"})"))),
              Contains(HasSubstr("quantized by fp8, but none is")));
}

// ---------------------------------------------------- compressed-tensors --

// One group of 4 bits in groups of 32; `weights` ends in a comma.
std::string Compressed(absl::string_view ignore = "[]",
                       absl::string_view targets = R"(["Linear"])",
                       absl::string_view weights = "",
                       absl::string_view status = "compressed",
                       absl::string_view format = "pack-quantized") {
  return Config(absl::StrCat(
      R"({"quant_method": "compressed-tensors", "quantization_status": ")",
      status, R"(", "format": ")", format, R"(", "ignore": )", ignore,
      R"(, "config_groups": {"g": {"targets": )", targets, R"(, "weights": {)",
      weights,
      R"("num_bits": 4, "type": "int", "strategy": "group",
         "group_size": 32}}}})"));
}

const FakeTensors& PackedModel() {
  static const FakeTensors* const tensors =
      new FakeTensors(PackedLayer("m.a", 8, 64, 32) + FloatLayer("m.b", 8, 64) +
                      FloatLayer("m.embed_tokens", 8, 64));
  return *tensors;
}

std::vector<std::string> FoundPacked(const std::string& config) {
  return Found(Model(PackedModel(), config));
}

TEST(CompressedTensorsTest, Fits) {
  for (const char* ignore :
       {R"(["m.b"])", R"(["re:.*b$"])", R"x(["re:m\\.(b|c)", "lm_head"])x"}) {
    EXPECT_THAT(FoundPacked(Compressed(ignore)), IsEmpty()) << ignore;
  }
  EXPECT_THAT(FoundPacked(Compressed("[]", R"(["m.a"])")), IsEmpty());
  EXPECT_THAT(FoundPacked(Compressed("[]", R"(["re:m.a"])")), IsEmpty());
}

// NVFP4 and the MX formats.
TEST(CompressedTensorsTest, FloatsInGroups) {
  const FakeTensors nvfp4 = Nvfp4Layer("m.a", 8, 64);
  const FakeTensors mxfp4 = Mxfp4Layer("m.a", 8, 64);
  const FakeTensors mxfp8 = Mxfp8Layer("m.a", 8, 64);
  EXPECT_THAT(Found(Model(nvfp4, Nvfp4Config())), IsEmpty());
  EXPECT_THAT(Found(Model(mxfp4, Mxfp4Config())), IsEmpty());
  EXPECT_THAT(Found(Model(mxfp8, Mxfp8Config())), IsEmpty());
  EXPECT_THAT(
      Found(Model(nvfp4, FloatConfig("nvfp4-pack-quantized", 4, "group", 16))),
      ElementsAre(HasSubstr("but g has strategy \"group\"")));
  EXPECT_THAT(Found(Model(nvfp4, FloatConfig("nvfp4-pack-quantized", 4,
                                             "tensor_group", 32))),
              ElementsAre(HasSubstr("but g has group_size 32")));
  EXPECT_THAT(Found(Model(nvfp4, FloatConfig("mxfp4-pack-quantized", 4,
                                             "tensor_group", 16))),
              ElementsAre(HasSubstr("m.a.weight: is stored as "
                                    "nvfp4-pack-quantized, but g has the "
                                    "format \"mxfp4-pack-quantized\"")));
  EXPECT_THAT(
      Found(Model(mxfp8, FloatConfig("float-quantized", 8, "group", 32))),
      ElementsAre(HasSubstr("is stored as mxfp8-quantized, but")));
  EXPECT_THAT(Found(Model(mxfp4, Nvfp4Config())),
              Contains(HasSubstr("is stored as mxfp4-pack-quantized, but")));
  EXPECT_THAT(Found(Model(mxfp4 + FloatLayer("m.b", 8, 64), Mxfp4Config())),
              ElementsAre(HasSubstr("m.b.weight: is not quantized, but is a "
                                    "target of g")));
  EXPECT_THAT(Found(Model(mxfp4, Mxfp4Config(R"(["m.a"])"))),
              ElementsAre(HasSubstr("but ignore says that it is not")));
}

TEST(CompressedTensorsTest, Status) {
  EXPECT_THAT(
      FoundPacked(Compressed(R"(["m.b"])", R"(["Linear"])", "", "frozen")),
      ElementsAre(HasSubstr("error config config.json: : "
                            "quantization_status is \"frozen\"")));
  // No other program looks at it.
  EXPECT_THAT(Found(Model(PackedModel(),
                          Compressed(R"(["m.b"])", R"(["Linear"])", "", "")),
                    "vllm"),
              Contains(HasSubstr("warning config config.json: : "
                                 "quantization_status is \"\"")));
}

TEST(CompressedTensorsTest, Formats) {
  const auto found = [](absl::string_view format) {
    return FoundPacked(
        Compressed(R"(["m.b"])", R"(["Linear"])", "", "compressed", format));
  };
  EXPECT_THAT(found("int-quantized"),
              ElementsAre(HasSubstr("m.a.weight: is stored as pack-quantized, "
                                    "but g has the format \"int-quantized\"")));
  EXPECT_THAT(found("mixed-precision"), IsEmpty());
  EXPECT_THAT(found("packed"),
              Contains(HasSubstr("compressed-tensors does not know")));
}

TEST(CompressedTensorsTest, TargetsAndIgnore) {
  EXPECT_THAT(FoundPacked(Compressed()),
              ElementsAre(HasSubstr("error config config.json: m.b.weight: is "
                                    "not quantized, but is a target of g and "
                                    "not in ignore")));
  EXPECT_THAT(FoundPacked(Compressed(R"(["m.b", "m.a"])")),
              ElementsAre(HasSubstr("m.a.weight: is quantized, but ignore")));
  EXPECT_THAT(FoundPacked(Compressed("[]", R"(["m.c"])")),
              ElementsAre(HasSubstr("m.a.weight: is quantized, but no targets "
                                    "name it"),
                          HasSubstr("warning config config.json: : g.targets "
                                    "has 'm.c', which is no module")));
  EXPECT_THAT(FoundPacked(Compressed(R"(["m.b", "m.x"])")),
              ElementsAre(HasSubstr("ignore has 'm.x', which is no module")));
  // What is not understood may match anything.
  EXPECT_THAT(FoundPacked(Compressed(R"x(["re:(?!m.a)"])x")),
              ElementsAre(HasSubstr("warning config config.json: : ignore: the "
                                    "regular expression '(?!m.a)' has")));
  EXPECT_THAT(FoundPacked(Compressed(R"(["m.b", "re:("])")),
              ElementsAre(HasSubstr("error config config.json: : ignore: ")));
  EXPECT_THAT(FoundPacked(Compressed("3")),
              Contains(HasSubstr("ignore is 3, expected a list")));
}

// Engines have float layers for these, by whatever class.
TEST(CompressedTensorsTest, RoutersAndOutput) {
  EXPECT_THAT(
      Found(Model(PackedLayer("m.a", 8, 64, 32) + FloatLayer("m.gate", 8, 64) +
                      FloatLayer("lm_head", 8, 64),
                  Compressed())),
      ElementsAre(HasSubstr("warning config config.json: m.gate.weight, "
                            "lm_head.weight: is not quantized")));
}

TEST(CompressedTensorsTest, Arguments) {
  const auto found = [](absl::string_view weights) {
    return FoundPacked(Compressed(R"(["m.b"])", R"(["Linear"])", weights));
  };
  EXPECT_THAT(found(R"("symmetric": true, )"), IsEmpty());
  EXPECT_THAT(found(R"("symmetric": false, )"),
              ElementsAre(HasSubstr("m.a.weight: is int4 group 32 symmetric, "
                                    "F16 scales, but g has symmetric false")));
  EXPECT_THAT(found(R"("bits": 4, )"),
              ElementsAre(HasSubstr("g.weights has an entry 'bits', which "
                                    "compressed-tensors refuses")));
}

TEST(CompressedTensorsTest, BlocksOfFloats) {
  const FakeTensors tensors = {{"m.a.weight", DType::kF8E4M3, {256, 128}},
                               {"m.a.weight_scale", DType::kF32, {2, 1}}};
  const auto config = [](absl::string_view block) {
    return Config(absl::StrCat(
        R"({"quant_method": "compressed-tensors",
            "quantization_status": "compressed", "format": "float-quantized",
            "config_groups": {"g": {"targets": ["Linear"], "weights":
            {"num_bits": 8, "type": "float", "strategy": "block",
             "block_structure": )",
        block, "}}}}"));
  };
  EXPECT_THAT(Found(Model(tensors, config("[128, 128]"))), IsEmpty());
  EXPECT_THAT(Found(Model(tensors, config("[64, 128]"))),
              ElementsAre(HasSubstr("but g has block_structure [64,128]")));
}

// ------------------------------------------------------------ gptq, awq --

std::string Gptq(absl::string_view entries) {
  return Config(absl::StrCat(R"({"quant_method": "gptq", )", entries, "}"));
}

constexpr absl::string_view kGptqEntries =
    R"("bits": 4, "group_size": 32, "sym": true, "desc_act": false)";

TEST(GptqTest, Entries) {
  const FakeTensors tensors = GptqLayer("m.0.a", 32, 64, 32);
  EXPECT_THAT(Found(Model(tensors, Gptq(kGptqEntries))), IsEmpty());
  EXPECT_THAT(Found(Model(tensors, Gptq(R"("sym": true, "desc_act": true)"))),
              ElementsAre(HasSubstr("error config config.json: : has no bits"),
                          HasSubstr("has no group_size")));
  EXPECT_THAT(Found(Model(tensors, Gptq(R"("bits": 4, "group_size": 32)"))),
              ElementsAre(HasSubstr("warning config config.json: : has no "
                                    "desc_act"),
                          HasSubstr("has no sym")));
  // What opening finds.
  EXPECT_THAT(Found(Model(tensors, Gptq(R"("bits": 8, "group_size": 32,
                                           "sym": true, "desc_act": false)"))),
              ElementsAre(HasSubstr("quantization_config says 8")));
}

TEST(GptqTest, TheOtherFile) {
  FakeFiles files = Model(GptqLayer("m.0.a", 32, 64, 32), Gptq(kGptqEntries));
  files.emplace_back("quantize_config.json",
                     R"({"bits": 4, "group_size": 64, "damp_percent": 0.1})");
  EXPECT_THAT(Found(files),
              ElementsAre(HasSubstr("error config quantize_config.json: : has "
                                    "group_size 64, but config.json has 32")));
  files.back().second = "[]";
  EXPECT_THAT(Found(files),
              ElementsAre(HasSubstr("warning config quantize_config.json")));
}

TEST(GptqTest, FloatLayersOfBlocks) {
  const FakeTensors tensors =
      GptqLayer("m.0.a", 32, 64, 32) + FloatLayer("m.0.b", 32, 64) +
      FloatLayer("m.0.gate", 32, 64) + FloatLayer("head", 32, 64);
  const auto found = [&](absl::string_view entries) {
    return Found(Model(tensors, Gptq(absl::StrCat(kGptqEntries, entries))));
  };
  EXPECT_THAT(found(""),
              ElementsAre(HasSubstr("warning config config.json: m.0.b.weight: "
                                    "is not quantized, but dynamic does not"),
                          HasSubstr("modules_in_block_to_quantize does not")));
  EXPECT_THAT(found(R"(, "dynamic": {"-:^m\\.0\\.b$": {}},
                       "modules_in_block_to_quantize": [["m.0.a"]])"),
              IsEmpty());
  EXPECT_THAT(found(R"(, "dynamic": {"-:m\\.0\\.[bc]": {}})"),
              ElementsAre(HasSubstr("modules_in_block_to_quantize does not")));
}

TEST(AwqTest, Modules) {
  const FakeTensors tensors = AwqLayer("m.a", 32, 64, 32) +
                              FloatLayer("m.b", 32, 64) +
                              FloatLayer("lm_head", 32, 64);
  const auto found = [&](absl::string_view entries) {
    return Found(Model(
        tensors, Config(absl::StrCat(
                     R"({"quant_method": "awq", "version": "gemm", "bits": 4,
                         "group_size": 32, "zero_point": true)",
                     entries, "}"))));
  };
  EXPECT_THAT(found(R"(, "modules_to_not_convert": ["m.b"])"), IsEmpty());
  EXPECT_THAT(found(R"(, "modules_to_not_convert": ["b"])"), IsEmpty());
  EXPECT_THAT(found(""),
              ElementsAre(HasSubstr("error config config.json: m.b.weight: is "
                                    "not quantized, but modules_to_not_convert "
                                    "is missing")));
  EXPECT_THAT(found(R"(, "modules_to_not_convert": ["m"])"),
              ElementsAre(HasSubstr("m.a.weight: is quantized, but "
                                    "modules_to_not_convert says")));
  EXPECT_THAT(found(R"(, "modules_to_not_convert": "m.b")"),
              ElementsAre(HasSubstr("expected a list of modules")));
}

// ------------------------------------------------------------------- fp8 --

TEST(Fp8Test, Blocks) {
  const FakeTensors tensors = Fp8Layer("m.a", 256, 128);
  const auto found = [&](absl::string_view entries) {
    return Found(Model(tensors, Config(absl::StrCat(R"({"quant_method": "fp8")",
                                                    entries, "}"))));
  };
  EXPECT_THAT(found(R"(, "weight_block_size": [128, 128])"), IsEmpty());
  EXPECT_THAT(found(""), ElementsAre(HasSubstr("no weight_block_size")));
  EXPECT_THAT(found(R"(, "weight_block_size": [64, 64])"),
              Contains(HasSubstr("do not fit")));
  EXPECT_THAT(found(R"(, "weight_block_size": [128, 128],
                       "activation_scheme": "none")"),
              ElementsAre(HasSubstr("activation_scheme is \"none\"")));
}

TEST(Fp8Test, Modules) {
  const auto found = [](absl::string_view modules) {
    return Found(
        Model(Fp8Layer("m.a", 128, 128) + FloatLayer("lm_head", 32, 128),
              Config(absl::StrCat(
                  R"({"quant_method": "fp8", "weight_block_size": [128, 128])",
                  modules, "}"))));
  };
  // Who says nothing leaves the output layer out; who says something says all.
  EXPECT_THAT(found(""), IsEmpty());
  EXPECT_THAT(found(R"(, "modules_to_not_convert": ["lm_head"])"), IsEmpty());
  EXPECT_THAT(found(R"(, "modules_to_not_convert": ["x"])"),
              ElementsAre(HasSubstr("error config config.json: lm_head.weight: "
                                    "is not quantized")));
  // One that is the embedding has no tensor.
  EXPECT_THAT(Found(Model(Fp8Layer("m.a", 128, 128),
                          Config(R"({"quant_method": "fp8",
                             "weight_block_size": [128, 128],
                             "modules_to_not_convert": ["x"]})",
                                 R"(, "architectures": ["XForCausalLM"])"))),
              ElementsAre(HasSubstr("lm_head.weight: is not quantized")));
}

// ---------------------------------------------------------- bitsandbytes --

TEST(BitsandbytesTest, Config) {
  const auto found = [](absl::string_view entries) {
    return Found(
        Model(Nf4Layer("m.a", 16, 64),
              Config(absl::StrCat(R"({"quant_method": "bitsandbytes", )",
                                  entries, "}"))));
  };
  EXPECT_THAT(found(R"("load_in_4bit": true)"), IsEmpty());
  EXPECT_THAT(found(R"("load_in_8bit": true)"),
              ElementsAre(HasSubstr("m.a.weight: has 4 bits, but "
                                    "load_in_4bit is not true")));
  EXPECT_THAT(found(R"("load_in_4bit": true, "bnb_4bit_quant_type": "fp4")"),
              ElementsAre(HasSubstr("is nf4, but bnb_4bit_quant_type is "
                                    "\"fp4\"")));
}

}  // namespace
}  // namespace monoquant
