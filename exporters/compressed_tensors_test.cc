#include "exporters/compressed_tensors.h"

#include <cstddef>
#include <iterator>
#include <utility>

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

QuantScheme Scheme(NumberFormat format, Granularity granularity,
                   int64_t group_size = 0) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  scheme.group_size = group_size;
  return scheme;
}

TEST(CompressedTensorsTest, OneScheme) {
  QuantizedModel model(QuantStorage::kCompressedTensors);
  model.Add("embed.weight", {64, 32});
  const QuantScheme int4 = Scheme(NumberFormat::kInt4, Granularity::kGroup, 32);
  model.Quantize("a.weight", {8, 32}, int4);
  model.Quantize("b.weight", {8, 64}, int4);
  model.Add("norm.weight", {32});
  EXPECT_EQ(
      CompressedTensorsConfig(model.manifest()).ToString(),
      R"({"quant_method":"compressed-tensors","format":"pack-quantized",)"
      R"("quantization_status":"compressed","config_groups":{"group_0":)"
      R"({"targets":["Linear"],"weights":{"num_bits":4,"type":"int",)"
      R"("symmetric":true,"strategy":"group","dynamic":false,)"
      R"("group_size":32},"input_activations":null,"output_activations":null,)"
      R"("format":"pack-quantized"}},"ignore":["embed","lm_head"]})");
}

// Several schemes name their layers.
TEST(CompressedTensorsTest, SeveralSchemes) {
  QuantizedModel model(QuantStorage::kCompressedTensors);
  const QuantScheme int8 = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  model.Quantize("a.weight", {8, 32}, int8);
  model.Quantize("b.weight", {8, 32},
                 Scheme(NumberFormat::kFp8E4M3, Granularity::kTensor));
  model.Quantize("c.weight", {8, 32}, int8);
  model.Quantize("lm_head.weight", {8, 32},
                 Scheme(NumberFormat::kBf16, Granularity::kTensor));
  EXPECT_EQ(
      CompressedTensorsConfig(model.manifest()).ToString(),
      R"({"quant_method":"compressed-tensors","format":"mixed-precision",)"
      R"("quantization_status":"compressed","config_groups":{"group_0":)"
      R"({"targets":["a","c"],"weights":{"num_bits":8,"type":"int",)"
      R"("symmetric":true,"strategy":"channel","dynamic":false},)"
      R"("input_activations":{"num_bits":8,"type":"int","symmetric":true,)"
      R"("strategy":"token","dynamic":true},"output_activations":null,)"
      R"("format":"int-quantized"},"group_1":{"targets":["b"],"weights":)"
      R"({"num_bits":8,"type":"float","symmetric":true,"strategy":"tensor",)"
      R"("dynamic":false},"input_activations":{"num_bits":8,"type":"float",)"
      R"("symmetric":true,"strategy":"token","dynamic":true},)"
      R"("output_activations":null,"format":"float-quantized"}},)"
      R"("ignore":["lm_head"]})");
}

// Experts are named by regular expressions, by which Transformers tells their
// scheme from others.
TEST(CompressedTensorsTest, SchemeOfExperts) {
  const QuantScheme int8 = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  const QuantScheme int4 = Scheme(NumberFormat::kInt4, Granularity::kGroup, 32);
  QuantizedModel model(QuantStorage::kCompressedTensors);
  model.Quantize("layers.0.attn.q.weight", {8, 32}, int8);
  for (const char* name : {"0.up", "0.down", "1.up", "1.down"}) {
    model.Quantize(absl::StrCat("layers.0.experts.", name, ".weight"), {8, 32},
                   int4);
  }
  model.Quantize("layers.1.experts.0.up.weight", {8, 32}, int8);
  model.Quantize("layers.1.experts.0.down.weight", {8, 32}, int4);
  const Json config = CompressedTensorsConfig(model.manifest());
  const Json& groups = *config.Find("config_groups");
  EXPECT_EQ(groups.Find("group_0")->Find("targets")->ToString(),
            R"(["layers.0.attn.q",)"
            R"("re:^layers\\.1\\.experts\\.0\\.up$"])");
  EXPECT_EQ(groups.Find("group_1")->Find("targets")->ToString(),
            R"(["re:^layers\\.0\\.experts\\.",)"
            R"("re:^layers\\.1\\.experts\\.0\\.down$"])");
}

// Output layers that are the embedding have other names in other models.
TEST(CompressedTensorsTest, OutputLayers) {
  const QuantScheme int8 = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  const std::pair<const char*, const char*> models[] = {
      {"model.layers.0.fc.weight", R"(["lm_head"])"},
      {"lm_head.weight", "[]"},
      {"lm_head.dense.weight", R"(["lm_head.decoder"])"},
      {"cls.predictions.transform.dense.weight",
       R"(["lm_head","cls.predictions.decoder"])"},
      {"predictions.dense.weight", R"(["lm_head","predictions.decoder"])"},
  };
  for (const auto& [name, ignored] : models) {
    QuantizedModel model(QuantStorage::kCompressedTensors);
    model.Quantize(name, {8, 32}, int8);
    EXPECT_EQ(
        CompressedTensorsConfig(model.manifest()).Find("ignore")->ToString(),
        ignored)
        << name;
  }
  // One that is there is named once.
  QuantizedModel model(QuantStorage::kCompressedTensors);
  model.Add("vocab_projector.weight", {8, 32});
  model.Add("vocab_projector.bias", {8});
  EXPECT_EQ(
      CompressedTensorsConfig(model.manifest()).Find("ignore")->ToString(),
      R"(["vocab_projector","lm_head"])");
  QuantizedModel tied(QuantStorage::kCompressedTensors);
  tied.Add("vocab_projector.bias", {8});
  EXPECT_EQ(CompressedTensorsConfig(tied.manifest()).Find("ignore")->ToString(),
            R"(["lm_head","vocab_projector"])");
}

// Activations are cut where blocks are.
TEST(CompressedTensorsTest, Blocks) {
  QuantizedModel model(QuantStorage::kCompressedTensors);
  model.Quantize("a.weight", {8, 256},
                 Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128));
  const Json group = *CompressedTensorsConfig(model.manifest())
                          .Find("config_groups")
                          ->Find("group_0");
  EXPECT_EQ(group.Find("weights")->ToString(),
            R"({"num_bits":8,"type":"float","symmetric":true,)"
            R"("strategy":"block","dynamic":false,)"
            R"("block_structure":[128,128]})");
  EXPECT_EQ(group.Find("input_activations")->ToString(),
            R"({"num_bits":8,"type":"float","symmetric":true,)"
            R"("strategy":"group","dynamic":true,"group_size":128})");
}

// Scales of 8 bits are named, and activations are left alone.
TEST(CompressedTensorsTest, NamedSchemes) {
  const char* const kExpected[] = {
      R"({"num_bits":4,"type":"float","symmetric":true,"strategy":"group",)"
      R"("dynamic":false,"group_size":32,"scale_dtype":"torch.uint8"},)"
      R"("input_activations":null,"output_activations":null,)"
      R"("format":"mxfp4-pack-quantized"})",
      R"({"num_bits":8,"type":"float","symmetric":true,"strategy":"group",)"
      R"("dynamic":false,"group_size":32,"scale_dtype":"torch.uint8"},)"
      R"("input_activations":null,"output_activations":null,)"
      R"("format":"mxfp8-quantized"})",
      R"({"num_bits":4,"type":"float","symmetric":true,)"
      R"("strategy":"tensor_group","dynamic":false,"group_size":16,)"
      R"("scale_dtype":"torch.float8_e4m3fn"},"input_activations":null,)"
      R"("output_activations":null,"format":"nvfp4-pack-quantized"})"};
  ASSERT_EQ(NamedSchemes().size(), std::size(kExpected));
  for (size_t i = 0; i < std::size(kExpected); ++i) {
    QuantizedModel model(QuantStorage::kCompressedTensors);
    model.Quantize("a.weight", {8, 64}, NamedSchemes()[i].scheme);
    const Json config = CompressedTensorsConfig(model.manifest());
    EXPECT_EQ(config.Find("config_groups")->ToString(),
              absl::StrCat(R"({"group_0":{"targets":["Linear"],"weights":)",
                           kExpected[i], "}"));
    EXPECT_EQ(*config.Find("format"),
              *config.Find("config_groups")->Find("group_0")->Find("format"));
  }
}

TEST(CompressedTensorsTest, RefusesOtherStorages) {
  QuantizedModel model(QuantStorage::kPlain);
  model.Quantize("a.weight", {8, 32},
                 Scheme(NumberFormat::kInt8, Granularity::kAxis));
  ExpectError(CompressedTensorsExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'a.weight': is quantized already, and stored in another");
}

}  // namespace
}  // namespace monoquant
