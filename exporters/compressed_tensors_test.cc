#include "exporters/compressed_tensors.h"

#include <cstddef>
#include <iterator>

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
