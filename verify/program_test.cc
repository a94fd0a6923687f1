// Guards: what is told of a checkpoint that one program is to load.

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

using testing::Config;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeFiles;
using testing::FakeTensors;
using testing::FloatLayer;
using testing::Found;
using testing::Fp8Layer;
using testing::GptqLayer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::Model;
using testing::Nf4Layer;
using ::testing::Not;
using testing::PackedLayer;
using testing::SafetensorsFile;

const std::string& GptqConfig() {
  static const std::string* const config = new std::string(
      Config(R"({"quant_method": "gptq", "bits": 4, "group_size": 32,
                 "sym": true, "desc_act": false})"));
  return *config;
}

std::string Compressed(absl::string_view ignore, absl::string_view weights) {
  return Config(absl::StrCat(
      R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
          "quantization_status": "compressed", "ignore": )",
      ignore, R"(, "config_groups": {"g": {"targets": ["Linear"], "weights":
                  {"num_bits": 4, "type": "int", "strategy": "group")",
      weights, "}}}}"));
}

// ---------------------------------------------------------------- formats --

TEST(ProgramTest, Formats) {
  const FakeFiles files = Model(GptqLayer("m.0.a", 64, 128, 32), GptqConfig());
  for (const char* program : {"", "vllm", "sglang", "transformers"}) {
    EXPECT_THAT(Found(files, program), IsEmpty()) << program;
  }
  EXPECT_THAT(Found(files, "torch"),
              ElementsAre(HasSubstr("error program : : gptq is none of the "
                                    "formats that torch is known to load")));
  const FakeFiles nf4 = Model(
      Nf4Layer("m.a", 64, 128),
      Config(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})"));
  EXPECT_THAT(Found(nf4, "vllm"), IsEmpty());
  EXPECT_THAT(Found(nf4, "sglang"),
              ElementsAre(HasSubstr("bitsandbytes is none of the formats that "
                                    "SGLang")));
}

TEST(ProgramTest, Directories) {
  const FakeTensors tensors = FloatLayer("m.a", 8, 8);
  EXPECT_THAT(Found(Model(tensors), "vllm"),
              ElementsAre(HasSubstr("there is no config.json, without which "
                                    "vLLM")));
  EXPECT_THAT(Found(Model(tensors), "torch"), IsEmpty());
  const FakeFiles other = {{"weights.safetensors", SafetensorsFile(tensors)},
                           {"config.json", "{}"}};
  EXPECT_THAT(Found(other, "vllm"), IsEmpty());
  EXPECT_THAT(Found(other, "transformers"),
              ElementsAre(HasSubstr("error program weights.safetensors: : is "
                                    "no name that Transformers looks for")));
}

TEST(ProgramTest, TorchaoIsOneFile) {
  const std::string file = SafetensorsFile({{"a", DType::kU8, {1}}});
  const FakeFiles files = {
      {"model.safetensors.index.json",
       R"({"weight_map": {"a": "model-00001-of-00001.safetensors"}})"},
      {"model-00001-of-00001.safetensors", file},
      {"config.json", Config(R"({"quant_method": "torchao"})")}};
  EXPECT_THAT(Found(files, "transformers"),
              Contains(HasSubstr("takes their list from one")));
  EXPECT_THAT(Found(files, "vllm"),
              Not(Contains(HasSubstr("takes their list from one"))));
}

// ----------------------------------------------------------------- limits --

TEST(ProgramTest, Limits) {
  const FakeFiles files =
      Model(GptqLayer("m.0.a", 32, 128, 32) + GptqLayer("m.0.b", 64, 128, 32),
            GptqConfig());
  EXPECT_THAT(Found(files, "vllm"),
              ElementsAre(HasSubstr("warning program : m.0.a.weight: is "
                                    "[32, 128]; the Marlin kernel takes")));
  EXPECT_THAT(Found(files, "transformers"), IsEmpty());
  EXPECT_THAT(Found(files), IsEmpty());
}

TEST(ProgramTest, ZeroPointsThatTransformersDoesNotLoad) {
  FakeTensors tensors = PackedLayer("m.a", 64, 128, 32);
  tensors.push_back({"m.a.weight_zero_point", DType::kI32, {8, 4}});
  const FakeFiles files = Model(tensors, Compressed("[]", R"(, "group_size": 32,
                                         "symmetric": false)"));
  EXPECT_THAT(Found(files, "transformers"),
              ElementsAre(HasSubstr("error program : m.a.weight: has packed "
                                    "zero points (tested with Transformers")));
  EXPECT_THAT(Found(files, "vllm"), IsEmpty());
}

TEST(ProgramTest, BlocksThatAreCutOff) {
  const FakeFiles files =
      Model(Fp8Layer("m.a", 192, 128), Config(R"({"quant_method": "fp8",
                       "weight_block_size": [128, 128]})"));
  EXPECT_THAT(Found(files, "transformers"),
              ElementsAre(HasSubstr("error program : m.a.weight: is "
                                    "[192, 128] in blocks of 128")));
  EXPECT_THAT(Found(files, "vllm"), IsEmpty());
}

// ---------------------------------------------------------------- siblings --

TEST(ProgramTest, Siblings) {
  const FakeTensors attention = PackedLayer("m.0.q_proj", 64, 128, 32) +
                                PackedLayer("m.0.k_proj", 64, 128, 32);
  const std::string groups = R"(, "group_size": 32)";
  EXPECT_THAT(Found(Model(attention + PackedLayer("m.0.v_proj", 64, 128, 32),
                          Compressed("[]", groups)),
                    "vllm"),
              IsEmpty());
  const FakeFiles mixed = Model(attention + FloatLayer("m.0.v_proj", 64, 128),
                                Compressed(R"(["m.0.v_proj"])", groups));
  for (const char* program : {"vllm", "sglang"}) {
    EXPECT_THAT(Found(mixed, program),
                ElementsAre(HasSubstr("error program : m.0.v_proj.weight: is "
                                      "not quantized, but 'm.0.q_proj.weight' "
                                      "is int4 group 32")));
  }
  EXPECT_THAT(Found(mixed), ElementsAre(HasSubstr("warning program ")));
  EXPECT_THAT(Found(mixed, "transformers"), IsEmpty());
}

TEST(ProgramTest, Experts) {
  const std::string experts = "m.0.experts.";
  const FakeFiles files =
      Model(PackedLayer(experts + "0.w2", 64, 128, 32) +
                FloatLayer(experts + "1.w2", 64, 128),
            Compressed(R"(["re:.*1.w2"])", R"(, "group_size": 32)"));
  EXPECT_THAT(Found(files, "vllm"),
              ElementsAre(HasSubstr("loads both as all experts of a layer")));
}

}  // namespace
}  // namespace monoquant
