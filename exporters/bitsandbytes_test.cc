#include "exporters/bitsandbytes.h"

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

QuantScheme Groups(NumberFormat format, int64_t size) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = size;
  return scheme;
}

// LLM.int8.
QuantScheme Rows() {
  QuantScheme scheme;
  scheme.format = NumberFormat::kLlmInt8;
  return scheme;
}

TEST(BitsandbytesTest, Configuration) {
  QuantizedModel model(QuantStorage::kBitsandbytes);
  model.Quantize("a.weight", {8, 128}, Groups(NumberFormat::kNf4, 64));
  model.Add("b.weight", {8, 32});
  EXPECT_EQ(BitsandbytesConfig(model.manifest()).ToString(),
            R"({"quant_method":"bitsandbytes","load_in_4bit":true,)"
            R"("load_in_8bit":false,"bnb_4bit_quant_type":"nf4",)"
            R"("bnb_4bit_use_double_quant":false,)"
            R"("bnb_4bit_compute_dtype":"bfloat16",)"
            R"("bnb_4bit_quant_storage":"uint8",)"
            R"("llm_int8_skip_modules":["b","lm_head"]})");
}

TEST(BitsandbytesTest, ConfigurationOfEightBits) {
  QuantizedModel model(QuantStorage::kBitsandbytes);
  model.Quantize("a.weight", {8, 128}, Rows());
  model.Add("b.weight", {8, 32});
  EXPECT_EQ(BitsandbytesConfig(model.manifest()).ToString(),
            R"({"quant_method":"bitsandbytes","load_in_4bit":false,)"
            R"("load_in_8bit":true,"llm_int8_threshold":6.0,)"
            R"("llm_int8_has_fp16_weight":false,)"
            R"("llm_int8_skip_modules":["b","lm_head"]})");
  EXPECT_TRUE(BitsandbytesExporter().Layout(model.manifest()).ok());
}

TEST(BitsandbytesTest, ConfigurationOfNestedScales) {
  QuantizedModel model(QuantStorage::kBitsandbytesNested);
  model.Quantize("a.weight", {8, 128}, Groups(NumberFormat::kFp4, 64));
  const Json config = BitsandbytesConfig(model.manifest());
  EXPECT_EQ(*config.Find("bnb_4bit_use_double_quant"), Json(true));
  EXPECT_EQ(*config.Find("bnb_4bit_quant_type"), Json("fp4"));
  EXPECT_TRUE(BitsandbytesExporter().Layout(model.manifest()).ok());
}

// Neither are weights with nested scales and without.
TEST(BitsandbytesTest, HasOneStorage) {
  const QuantScheme scheme = Groups(NumberFormat::kNf4, 64);
  QuantizedModel model(QuantStorage::kBitsandbytes);
  model.Quantize("a.weight", {8, 128}, scheme);
  model.Quantize("b.weight", {8, 128}, scheme,
                 QuantStorage::kBitsandbytesNested);
  ExpectError(BitsandbytesExporter().Layout(model.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "tensor 'b.weight': nf4 group 64, double quant, but 'a.weight' "
              "is nf4 group 64; bitsandbytes has one scheme");
  QuantizedModel other(QuantStorage::kBitsandbytes);
  other.Quantize("a.weight", {8, 128}, scheme, QuantStorage::kPlain);
  ExpectError(BitsandbytesExporter().Layout(other.manifest()),
              absl::StatusCode::kFailedPrecondition,
              "stored in another way than bitsandbytes does");
}

TEST(BitsandbytesTest, HasOneScheme) {
  for (const QuantScheme& other : {Groups(NumberFormat::kFp4, 64),
                                   Groups(NumberFormat::kNf4, 128), Rows()}) {
    QuantizedModel model(QuantStorage::kBitsandbytes);
    model.Quantize("a.weight", {8, 128}, Groups(NumberFormat::kNf4, 64));
    model.Quantize("b.weight", {8, 128}, other);
    ExpectError(BitsandbytesExporter().Layout(model.manifest()),
                absl::StatusCode::kFailedPrecondition,
                "bitsandbytes has one scheme for the whole model");
  }
}

}  // namespace
}  // namespace monoquant
