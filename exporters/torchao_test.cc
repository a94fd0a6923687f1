#include "exporters/torchao.h"

#include <string>

#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::Export;
using ::testing::HasSubstr;
using testing::QuantizedModel;

QuantScheme Rows(NumberFormat format) {
  QuantScheme scheme;
  scheme.format = format;
  return scheme;
}

TEST(TorchaoTest, Configuration) {
  QuantizedModel model(QuantStorage::kTorchao);
  model.Quantize("a.weight", {8, 32}, Rows(NumberFormat::kInt8));
  model.Add("b.weight", {8, 32});
  EXPECT_EQ(TorchaoConfig(model.manifest()).ToString(),
            R"({"quant_method":"torchao","quant_type":{"default":{"_type":)"
            R"("Int8WeightOnlyConfig","_version":2,"_data":{"group_size":null,)"
            R"("granularity":{"_type":"PerRow","_version":1,"_data":)"
            R"({"dim":-1}},"set_inductor_config":true}}},)"
            R"("modules_to_not_convert":["b","lm_head"],)"
            R"("include_input_output_embeddings":false})");
}

// Every tensor is described in the file, by the name that the model knows.
TEST(TorchaoTest, Metadata) {
  QuantizedModel model(QuantStorage::kTorchao);
  model.Quantize("a.weight", {8, 32}, Rows(NumberFormat::kFp8E4M3));
  model.Add("a.bias", {8});
  const std::string file = Export(TorchaoExporter(), model.manifest()).value();
  EXPECT_THAT(file, HasSubstr(R"("a.bias":"{\"_type\":\"Tensor\"}")"));
  EXPECT_THAT(
      file, HasSubstr(R"("a.weight":"{\"_type\":\"Float8Tensor\",\"_data\":)"
                      R"({\"block_size\":[1,32],\"act_quant_kwargs\":null,)"
                      R"(\"mm_config\":null,\"kernel_preference\":)"
                      R"({\"_type\":\"KernelPreference\",\"_data\":\"AUTO\"},)"
                      R"(\"dtype\":{\"_type\":\"torch.dtype\",)"
                      R"(\"_data\":\"bfloat16\"}},)"
                      R"(\"_tensor_data_names\":[\"qdata\",\"scale\"]}")"));
  EXPECT_THAT(file, HasSubstr(R"("tensor_names":"[\"a.weight\",\"a.bias\"]")"));
  EXPECT_THAT(file, HasSubstr(R"("a._weight_scale":{"dtype":"F32")"));
}

TEST(TorchaoTest, RefusesExperts) {
  QuantizedModel model(QuantStorage::kTorchao);
  model.Quantize("mlp.experts.0.up_proj.weight", {8, 32},
                 Rows(NumberFormat::kInt8));
  ExpectError(TorchaoExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'mlp.experts.0.up_proj.weight': is an expert's, and no "
              "program loads torchao weights of experts");
}

TEST(TorchaoTest, HasOneScheme) {
  QuantizedModel model(QuantStorage::kTorchao);
  model.Quantize("a.weight", {8, 32}, Rows(NumberFormat::kInt8));
  model.Quantize("b.weight", {8, 32}, Rows(NumberFormat::kFp8E4M3));
  ExpectError(TorchaoExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "torchao has one scheme for the whole model");
}

}  // namespace
}  // namespace monoquant
