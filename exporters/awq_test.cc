#include "exporters/awq.h"

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

QuantScheme UInt4(Granularity granularity) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kUInt4;
  scheme.granularity = granularity;
  scheme.group_size = granularity == Granularity::kGroup ? 64 : 0;
  scheme.symmetric = false;
  scheme.scale_dtype = DType::kF16;
  return scheme;
}

TEST(AwqTest, Configuration) {
  QuantizedModel model(QuantStorage::kAwq);
  model.Quantize("layers.0.a.weight", {32, 64}, UInt4(Granularity::kGroup));
  model.Add("layers.0.b.weight", {32, 64});
  EXPECT_EQ(AwqConfig(model.manifest()).ToString(),
            R"({"quant_method":"awq","bits":4,"group_size":64,)"
            R"("zero_point":true,"version":"gemm","modules_to_not_convert":)"
            R"(["layers.0.b","lm_head"]})");
}

TEST(AwqTest, GroupForEachRow) {
  QuantizedModel model(QuantStorage::kAwq);
  model.Quantize("a.weight", {32, 64}, UInt4(Granularity::kAxis));
  EXPECT_EQ(*AwqConfig(model.manifest()).Find("group_size")->AsInt(), -1);
}

TEST(AwqTest, HasOneScheme) {
  QuantizedModel model(QuantStorage::kAwq);
  model.Quantize("a.weight", {32, 64}, UInt4(Granularity::kGroup));
  model.Quantize("b.weight", {32, 64}, UInt4(Granularity::kAxis));
  ExpectError(AwqExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "awq has one scheme for the whole model");
}

}  // namespace
}  // namespace monoquant
