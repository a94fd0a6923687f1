#include "exporters/gptq.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "exporters/testing.h"
#include "gtest/gtest.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::QuantizedModel;

QuantScheme Int4(int64_t group_size) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kInt4;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = group_size;
  scheme.scale_dtype = DType::kF16;
  return scheme;
}

TEST(GptqTest, AllLayers) {
  QuantizedModel model(QuantStorage::kGptq);
  model.Add("embed.weight", {64, 32});
  model.Quantize("model.layers.0.up.weight", {32, 64}, Int4(32));
  model.Quantize("model.layers.0.down.weight", {64, 64}, Int4(32));
  EXPECT_EQ(GptqConfig(model.manifest()).ToString(),
            R"({"quant_method":"gptq","bits":4,"group_size":32,"sym":true,)"
            R"("desc_act":false,"lm_head":false,"checkpoint_format":"gptq",)"
            R"("pack_dtype":"int32","meta":{"quantizer":["monoquant:1.0"]},)"
            R"("block_name_to_quantize":"",)"
            R"("modules_in_block_to_quantize":[["down","up"]]})");
}

std::string Layers(const QuantizedModel& model) {
  return GptqConfig(model.manifest())
      .Find("modules_in_block_to_quantize")
      ->ToString();
}

// They are named as they are in every block, outside of blocks in full.
TEST(GptqTest, NamesOfLayers) {
  QuantizedModel model(QuantStorage::kGptq);
  for (const char* name :
       {"encoder.layer.0.output.dense", "encoder.layer.1.output.dense",
        "encoder.layer.1.experts.3.up", "pooler.dense", "classifier.0"}) {
    model.Quantize(absl::StrCat(name, ".weight"), {32, 64}, Int4(32));
  }
  model.Add("encoder.layer.0.norm.weight", {64});
  EXPECT_EQ(
      Layers(model),
      R"([["classifier.0","experts.3.up","output.dense","pooler.dense"]])");
}

// In full, too, where a name would be found in a layer that is left out.
TEST(GptqTest, WholeNamesOfLayers) {
  QuantizedModel model(QuantStorage::kGptq);
  model.Quantize("layer.0.output.dense.weight", {32, 64}, Int4(32));
  model.Quantize("layer.1.output.dense.weight", {32, 64}, Int4(32));
  model.Add("layer.1.attention.output.dense.weight", {32, 64});
  EXPECT_EQ(Layers(model),
            R"([["layer.0.output.dense","layer.1.output.dense"]])");
  // A convolution, which Transformers also looks at.
  QuantizedModel convolution(QuantStorage::kGptq);
  convolution.Quantize("blocks.0.1.weight", {32, 64}, Int4(32));
  convolution.Add("stem.conv1.weight", {8, 3, 3, 3});
  EXPECT_EQ(Layers(convolution), R"([["blocks.0.1"]])");
}

// A group for each row, zero points, 8 bits, and the output layer.
TEST(GptqTest, OtherSchemes) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kUInt8;
  scheme.symmetric = false;
  scheme.scale_dtype = DType::kF16;
  QuantizedModel model(QuantStorage::kGptq);
  model.Quantize("lm_head.weight", {32, 64}, scheme);
  const Json config = GptqConfig(model.manifest());
  EXPECT_EQ(*config.Find("bits")->AsInt(), 8);
  EXPECT_EQ(*config.Find("group_size")->AsInt(), -1);
  EXPECT_EQ(*config.Find("sym")->AsBool(), false);
  EXPECT_EQ(*config.Find("lm_head")->AsBool(), true);
}

// Layers of the blocks that are not quantized are named, for each reader in the
// way that it knows.
TEST(GptqTest, LayersLeftOut) {
  QuantizedModel model(QuantStorage::kGptq);
  model.Quantize("model.layers.0.up.weight", {32, 64}, Int4(32));
  model.Add("model.layers.1.up.weight", {32, 64});
  model.Add("model.norm.weight", {32});
  const Json config = GptqConfig(model.manifest());
  EXPECT_EQ(config.Find("dynamic")->ToString(),
            R"({"-:^model\\.layers\\.1\\.up$":{}})");
  EXPECT_EQ(Layers(model), R"([["model.layers.0.up"]])");
}

// Nothing is quantized.
TEST(GptqTest, NoLayer) {
  QuantizedModel model(QuantStorage::kGptq);
  model.Add("model.layers.0.b.weight", {32, 64});
  EXPECT_EQ(Layers(model), "[[]]");
}

TEST(GptqTest, HasOneScheme) {
  QuantizedModel model(QuantStorage::kGptq);
  model.Quantize("a.weight", {32, 64}, Int4(32));
  model.Quantize("b.weight", {32, 64}, Int4(64));
  ExpectError(GptqExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'b.weight': int4 group 64 symmetric, F16 scales, but "
              "'a.weight' is int4 group 32 symmetric, F16 scales; gptq has one "
              "scheme for the whole model");
}

TEST(GptqTest, RefusesOtherStorages) {
  QuantizedModel model(QuantStorage::kAwq);
  model.Quantize("a.weight", {32, 64}, Int4(32));
  ExpectError(GptqExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'a.weight': is quantized already, and stored in another "
              "way than gptq does");
}

}  // namespace
}  // namespace monoquant
