#include "exporters/compressed_tensors.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

// What a plan would make of weights.
class Model {
 public:
  Model() { manifest_.record.version = "1.0"; }

  void Add(std::string name, const Shape& shape) {
    AddPart({std::move(name), DType::kBF16, shape});
  }

  void Quantize(const std::string& name, const Shape& shape,
                NumberFormat format, Granularity granularity,
                int64_t group_size = 0,
                QuantStorage storage = QuantStorage::kCompressedTensors) {
    QuantScheme scheme;
    scheme.format = format;
    scheme.granularity = granularity;
    scheme.group_size = group_size;
    const StoredWeight stored =
        StoreWeight(storage, name, scheme, shape).value();
    AddPart(stored.codes);
    for (const auto& part : {stored.scale, stored.zero_point, stored.shape}) {
      if (part.has_value()) AddPart(*part);
    }
    manifest_.record.tensors.push_back(
        RecordOf(name, scheme, storage, stored, DType::kBF16, shape));
  }

  const Manifest& manifest() const { return manifest_; }

 private:
  void AddPart(const StoredPart& part) {
    OutputTensor tensor;
    tensor.name = part.name;
    tensor.dtype = part.dtype;
    tensor.shape = part.shape;
    tensor.byte_size = ByteSize(part.dtype, part.shape).value();
    manifest_.tensors.push_back(std::move(tensor));
  }

  Manifest manifest_;
};

TEST(CompressedTensorsTest, OneScheme) {
  Model model;
  model.Add("embed.weight", {64, 32});
  model.Quantize("a.weight", {8, 32}, NumberFormat::kInt4, Granularity::kGroup,
                 32);
  model.Quantize("b.weight", {8, 64}, NumberFormat::kInt4, Granularity::kGroup,
                 32);
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
  Model model;
  model.Quantize("a.weight", {8, 32}, NumberFormat::kInt8, Granularity::kAxis);
  model.Quantize("b.weight", {8, 32}, NumberFormat::kFp8E4M3,
                 Granularity::kTensor);
  model.Quantize("c.weight", {8, 32}, NumberFormat::kInt8, Granularity::kAxis);
  model.Quantize("lm_head.weight", {8, 32}, NumberFormat::kBf16,
                 Granularity::kTensor);
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

TEST(CompressedTensorsTest, RefusesOtherStorages) {
  Model model;
  model.Quantize("a.weight", {8, 32}, NumberFormat::kInt8, Granularity::kAxis,
                 0, QuantStorage::kPlain);
  ExpectError(CompressedTensorsExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'a.weight': is quantized already, and stored in another");
}

}  // namespace
}  // namespace monoquant
