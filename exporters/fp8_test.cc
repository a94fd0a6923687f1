#include "exporters/fp8.h"

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

QuantScheme Blocks(int64_t size) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp8E4M3;
  scheme.granularity = Granularity::kBlock;
  scheme.group_size = size;
  return scheme;
}

TEST(Fp8Test, Configuration) {
  QuantizedModel model(QuantStorage::kFp8);
  model.Quantize("layers.0.a.weight", {256, 64}, Blocks(128));
  model.Add("layers.0.b.weight", {32, 64});
  EXPECT_EQ(model.manifest().tensors[1].name, "layers.0.a.weight_scale_inv");
  EXPECT_EQ(model.manifest().tensors[1].shape, (Shape{2, 1}));
  EXPECT_EQ(Fp8Config(model.manifest()).ToString(),
            R"({"quant_method":"fp8","fmt":"e4m3","activation_scheme":)"
            R"("dynamic","weight_block_size":[128,128],)"
            R"("modules_to_not_convert":["layers.0.b","lm_head"]})");
}

// All experts of a layer are one module of Transformers, which is named if it
// is left out.
TEST(Fp8Test, Experts) {
  QuantizedModel model(QuantStorage::kFp8);
  model.Quantize("layers.0.experts.0.a.weight", {128, 128}, Blocks(128));
  model.Add("layers.0.experts.1.a.weight", {32, 64});
  model.Add("layers.1.experts.0.a.weight", {32, 64});
  model.Add("layers.1.experts.1.a.weight", {32, 64});
  EXPECT_EQ(
      Fp8Config(model.manifest()).Find("modules_to_not_convert")->ToString(),
      R"(["layers.0.experts.1.a","layers.1.experts.0.a",)"
      R"("layers.1.experts.1.a","lm_head","layers.1.experts"])");
}

TEST(Fp8Test, HasOneScheme) {
  QuantizedModel model(QuantStorage::kFp8);
  model.Quantize("a.weight", {32, 64}, Blocks(128));
  model.Quantize("b.weight", {32, 64}, Blocks(64));
  ExpectError(Fp8Exporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "fp8 has one scheme for the whole model");
}

}  // namespace
}  // namespace monoquant
