// Guards: what is told of a checkpoint that one program is to load.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "verify/testing.h"

namespace monoquant {
namespace {

using testing::AwqLayer;
using testing::Config;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::FakeFiles;
using testing::FakeTensor;
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
using ::testing::Not;
using testing::Nvfp4Config;
using testing::Nvfp4Layer;
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
              ElementsAre(HasSubstr("warning program : : is bitsandbytes, for "
                                    "which SGLang has a loader, which is not "
                                    "tested")));
  EXPECT_THAT(Found(nf4, "torch"),
              ElementsAre(HasSubstr("bitsandbytes is none of the formats")));
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

// Two files, each with a weight and with one of these lists.
FakeFiles TorchaoShards(absl::string_view first, absl::string_view last) {
  FakeFiles files = {{"config.json", Config(R"({"quant_method": "torchao"})")}};
  Json index;
  Json map;
  for (const bool is_last : {false, true}) {
    const std::string module = is_last ? "m.b" : "m.a";
    const std::string file =
        absl::StrCat("model-0000", is_last ? 2 : 1, "-of-00002.safetensors");
    Json metadata;
    metadata.Set("tensor_names", is_last ? last : first);
    metadata.Set(module + ".weight",
                 R"({"_type": "Int8Tensor",
                     "_tensor_data_names": ["qdata", "scale"],
                     "_data": {"block_size": [1, 64],
                               "dtype": {"_type": "torch.dtype",
                                         "_data": "float32"}}})");
    const FakeTensors tensors = {
        {module + "._weight_qdata", DType::kI8, {2, 64}},
        {module + "._weight_scale", DType::kF32, {2, 1}}};
    for (const FakeTensor& tensor : tensors) map.Set(tensor.name, file);
    files.emplace_back(file, SafetensorsFile(tensors, std::move(metadata)));
  }
  index.Set("weight_map", std::move(map));
  files.emplace_back("model.safetensors.index.json", index.ToString());
  return files;
}

TEST(ProgramTest, ListsOfTorchao) {
  constexpr absl::string_view kBoth = R"(["m.a.weight", "m.b.weight"])";
  const std::string own[] = {R"(["m.a.weight"])", R"(["m.b.weight"])"};
  EXPECT_THAT(Found(TorchaoShards(kBoth, kBoth), "transformers"), IsEmpty());
  EXPECT_THAT(Found(TorchaoShards(own[0], kBoth), "transformers"), IsEmpty());
  for (const absl::string_view first : {absl::string_view(own[0]), kBoth}) {
    const FakeFiles files = TorchaoShards(first, own[1]);
    EXPECT_THAT(
        Found(files, "transformers"),
        ElementsAre(HasSubstr(
            "error program model.safetensors.index.json: m.a.weight: is "
            "not in the list (tensor_names) of the last file")));
    EXPECT_THAT(Found(files, "vllm"), IsEmpty());
  }
  // The same words in the metadata of a model that is not torchao's.
  FakeFiles other = TorchaoShards(own[0], own[1]);
  other[0].second = "{}";
  EXPECT_THAT(Found(other, "transformers"),
              Not(Contains(HasSubstr("of the last file"))));
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
  EXPECT_THAT(Found(files, "vllm"),
              ElementsAre(HasSubstr("warning program : m.a.weight: has 192 "
                                    "rows; weights that are laid side by "
                                    "side")));
}

TEST(ProgramTest, NamedSchemes) {
  const FakeFiles nvfp4 = Model(Nvfp4Layer("m.a", 64, 128), Nvfp4Config());
  const FakeFiles mxfp4 = Model(Mxfp4Layer("m.a", 64, 128), Mxfp4Config());
  const FakeFiles mxfp8 = Model(Mxfp8Layer("m.a", 64, 128), Mxfp8Config());
  for (const char* program : {"", "transformers"}) {
    EXPECT_THAT(Found(nvfp4, program), IsEmpty());
    EXPECT_THAT(Found(mxfp4, program), IsEmpty());
    EXPECT_THAT(Found(mxfp8, program), IsEmpty());
  }
  EXPECT_THAT(Found(nvfp4, "vllm"), IsEmpty());
  EXPECT_THAT(Found(mxfp4, "vllm"), IsEmpty());
  EXPECT_THAT(Found(mxfp8, "vllm"),
              ElementsAre(HasSubstr("warning program : m.a.weight: is mxfp8, "
                                    "which no kernel is known for")));
  EXPECT_THAT(Found(nvfp4, "sglang"),
              ElementsAre(HasSubstr("warning program : m.a.weight: is nvfp4, "
                                    "which is not known to be loaded")));
}

// Without them Transformers' results are NaN.
TEST(ProgramTest, ActivationScales) {
  const auto files = [](const FakeTensors& tensors, const char* type) {
    return Model(tensors,
                 Config(R"({"quant_method": "awq", "bits": 4,
                                     "group_size": 32, "zero_point": true})",
                        absl::StrCat(R"(, "model_type": ")", type, "\"")));
  };
  const FakeTensors tensors = AwqLayer("m.a", 64, 128, 32);
  EXPECT_THAT(Found(files(tensors, "bloom"), "transformers"),
              ElementsAre(HasSubstr("error program config.json: : has the "
                                    "model_type bloom")));
  EXPECT_THAT(Found(files(tensors, "llama"), "transformers"), IsEmpty());
  EXPECT_THAT(Found(files(tensors, "bloom"), "vllm"), IsEmpty());
  const FakeTensors scaled =
      tensors + FakeTensors{{"m.act.scales", DType::kF16, {64}}};
  EXPECT_THAT(Found(files(scaled, "bloom"), "transformers"),
              Not(Contains(HasSubstr("model_type"))));
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
  for (const char* program : {"vllm", "sglang"}) {
    EXPECT_THAT(Found(files, program),
                ElementsAre(HasSubstr("loads both as all experts of a layer")));
  }
  EXPECT_THAT(Found(files),
              ElementsAre(HasSubstr("warning program : m.0.experts.1.w2")));
  EXPECT_THAT(Found(files, "transformers"),
              ElementsAre(HasSubstr("error program : m.0.experts.1.w2.weight: "
                                    "is not quantized, but 'm.0.experts.0.w2"),
                          HasSubstr("error program : m.0.experts.1.w2.weight: "
                                    "is an expert's and not quantized")));
}

TEST(ProgramTest, ExpertsOfWords) {
  const FakeFiles files = Model(GptqLayer("m.0.experts.0.w2", 64, 128, 32) +
                                    GptqLayer("m.0.experts.1.w2", 64, 128, 32),
                                GptqConfig());
  EXPECT_THAT(Found(files, "transformers"),
              ElementsAre(HasSubstr("error program : m.0.experts.0.w2.weight, "
                                    "m.0.experts.1.w2.weight: is an expert's; "
                                    "all experts get random numbers")));
  EXPECT_THAT(Found(files, "vllm"), IsEmpty());
}

// Transformers decodes all experts as one group of the configuration says.
TEST(ProgramTest, FloatExperts) {
  const FakeTensors experts = FloatLayer("m.0.experts.0.w2", 64, 128) +
                              FloatLayer("m.0.experts.1.w2", 64, 128);
  const std::string ignore = R"(["re:.*experts.*"])";
  const FakeFiles packed = Model(PackedLayer("m.0.a", 64, 128, 32) + experts,
                                 Compressed(ignore, R"(, "group_size": 32)"));
  EXPECT_THAT(Found(packed, "transformers"),
              ElementsAre(HasSubstr("error program : m.0.experts.0.w2.weight, "
                                    "m.0.experts.1.w2.weight: is an expert's "
                                    "and not quantized")));
  EXPECT_THAT(Found(packed, "vllm"), IsEmpty());
  EXPECT_THAT(Found(packed), IsEmpty());
  EXPECT_THAT(
      Found(Model(Mxfp8Layer("m.0.a", 64, 128) + experts, Mxfp8Config(ignore)),
            "transformers"),
      IsEmpty());
  EXPECT_THAT(
      Found(Model(Mxfp4Layer("m.0.a", 64, 128) + experts, Mxfp4Config(ignore)),
            "transformers"),
      ElementsAre(HasSubstr("is an expert's and not quantized")));
}

// FP8 is decoded tensor by tensor, and there is one for each name.
TEST(ProgramTest, FloatsAmongExperts) {
  const auto layer = [](const std::string& module) {
    return FakeTensors{{module + ".weight", DType::kF8E4M3, {64, 128}},
                       {module + ".weight_scale", DType::kF16, {64, 1}}};
  };
  const FakeTensors quantized =
      layer("m.0.experts.0.up_proj") + layer("m.0.experts.1.up_proj");
  const FakeFiles files =
      Model(quantized + FloatLayer("m.0.experts.0.down_proj", 64, 128) +
                FloatLayer("m.0.experts.1.down_proj", 64, 128),
            FloatConfig("float-quantized", 8, "channel", 64,
                        R"(["re:.*down_proj"])"));
  EXPECT_THAT(Found(files, "transformers"), IsEmpty());
  EXPECT_THAT(Found(files, "vllm"),
              ElementsAre(HasSubstr("loads both as all experts of a layer")));
  EXPECT_THAT(
      Found(Model(quantized + layer("m.0.experts.0.down_proj") +
                      FloatLayer("m.0.experts.1.down_proj", 64, 128),
                  FloatConfig("float-quantized", 8, "channel", 64,
                              R"(["m.0.experts.1.down_proj"])")),
            "transformers"),
      ElementsAre(HasSubstr("error program : m.0.experts.1.down_proj.weight: "
                            "is not quantized, but "
                            "'m.0.experts.0.down_proj.weight'")));
  // Modules of FP8 have scales for all of their tensors.
  EXPECT_THAT(
      Found(Model(Fp8Layer("m.0.experts.0.up_proj", 128, 128) +
                      Fp8Layer("m.0.experts.1.up_proj", 128, 128) +
                      FloatLayer("m.0.experts.0.down_proj", 128, 128) +
                      FloatLayer("m.0.experts.1.down_proj", 128, 128),
                  Config(R"({"quant_method": "fp8",
                             "weight_block_size": [128, 128],
                             "modules_to_not_convert": ["down_proj"]})")),
            "transformers"),
      ElementsAre(HasSubstr("error program : m.0.experts.0.down_proj.weight")));
}

// A group that has experts in an expression goes before the first one.
TEST(ProgramTest, TheGroupOfExperts) {
  const auto files = [](absl::string_view targets) {
    return Model(Mxfp8Layer("m.0.a", 64, 128) + Mxfp4Layer("m.0.b", 64, 128) +
                     FloatLayer("m.0.experts.0.w2", 64, 128),
                 Config(absl::StrCat(
                     R"({"quant_method": "compressed-tensors",
                "quantization_status": "compressed",
                "format": "mixed-precision", "ignore": ["re:.*experts.*"],
                "config_groups": {
                  "g": {"targets": ["m.0.a"], "format": "mxfp8-quantized",
                        "weights": {"num_bits": 8, "type": "float",
                                    "strategy": "group", "group_size": 32}},
                  "h": {"targets": )",
                     targets, R"(, "format": "mxfp4-pack-quantized",
                        "weights": {"num_bits": 4, "type": "float",
                                    "strategy": "group",
                                    "group_size": 32}}}})")));
  };
  EXPECT_THAT(Found(files(R"(["m.0.b"])"), "transformers"), IsEmpty());
  EXPECT_THAT(Found(files(R"x(["re:m.0.(b|experts.*)$"])x"), "transformers"),
              ElementsAre(HasSubstr("is an expert's and not quantized")));
}

// ----------------------------------------------------------- global scales --

TEST(ProgramTest, GlobalScales) {
  constexpr uint32_t kTwo = 0x40000000;
  const FakeTensors query = Nvfp4Layer("m.0.q_proj", 64, 128);
  const FakeTensors other = Nvfp4Layer("m.0.o_proj", 64, 128, kTwo);
  EXPECT_THAT(Found(Model(query + Nvfp4Layer("m.0.k_proj", 64, 128) + other,
                          Nvfp4Config()),
                    "vllm"),
              IsEmpty());
  const FakeFiles different = Model(
      query + Nvfp4Layer("m.0.k_proj", 64, 128, kTwo) + other, Nvfp4Config());
  EXPECT_THAT(Found(different, "vllm"),
              ElementsAre(HasSubstr("error program : m.0.k_proj.weight: has "
                                    "the global scale 2, but that of "
                                    "'m.0.q_proj.weight' is 1, and vLLM takes "
                                    "one for both")));
  EXPECT_THAT(Found(different),
              ElementsAre(HasSubstr("warning program : m.0.k_proj.weight: has "
                                    "the global scale 2")));
  EXPECT_THAT(Found(different, "transformers"), IsEmpty());
}

}  // namespace
}  // namespace monoquant
