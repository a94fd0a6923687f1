#include "ir/quant_storage.h"

#include <string>

#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

QuantScheme Scheme(NumberFormat format, Granularity granularity,
                   int64_t group_size = 0) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  scheme.group_size = group_size;
  return scheme;
}

// "NAME DTYPE [SHAPE]", or "-".
std::string Text(const std::optional<StoredPart>& part) {
  if (!part.has_value()) return "-";
  return part->name + " " + std::string(DTypeName(part->dtype)) + " " +
         ShapeToString(part->shape);
}

TEST(QuantStorageTest, NamesLeadBack) {
  for (QuantStorage storage :
       {QuantStorage::kPlain, QuantStorage::kCompressedTensors}) {
    EXPECT_EQ(StorageFromName(StorageName(storage)), storage);
  }
  EXPECT_FALSE(StorageFromName("").has_value());
}

TEST(QuantStorageTest, Plain) {
  QuantScheme scheme = Scheme(NumberFormat::kInt4, Granularity::kGroup, 3);
  scheme.scale_dtype = DType::kBF16;
  StoredWeight stored =
      StoreWeight(QuantStorage::kPlain, "w", scheme, {2, 9}).value();
  EXPECT_EQ(Text(stored.codes), "w U8 [2, 5]");
  EXPECT_EQ(Text(stored.scale), "w.scale BF16 [2, 3]");
  EXPECT_EQ(Text(stored.zero_point), "w.zero_point I8 []");
  EXPECT_EQ(Text(stored.shape), "-");
  EXPECT_EQ(stored.packing, CodePacking());
  scheme.symmetric = false;
  stored = StoreWeight(QuantStorage::kPlain, "w", scheme, {2, 9}).value();
  EXPECT_EQ(Text(stored.zero_point), "w.zero_point I8 [2, 3]");
  stored = StoreWeight(QuantStorage::kPlain, "w",
                       Scheme(NumberFormat::kBf16, Granularity::kTensor), {4})
               .value();
  EXPECT_EQ(Text(stored.codes), "w BF16 [4]");
  EXPECT_EQ(Text(stored.scale), "-");
  EXPECT_EQ(Text(stored.zero_point), "-");
}

// The layouts of compressed-tensors, by number format and granularity.
TEST(QuantStorageTest, CompressedTensors) {
  const struct {
    QuantScheme scheme;
    Shape shape;
    const char* codes;
    const char* scale;
    const char* stored_shape;
  } cases[] = {
      {Scheme(NumberFormat::kInt4, Granularity::kGroup, 32),
       {6, 96},
       "m.weight_packed I32 [6, 12]",
       "m.weight_scale F32 [6, 3]",
       "m.weight_shape I64 [2]"},
      {Scheme(NumberFormat::kInt4, Granularity::kAxis),
       {6, 9},
       "m.weight_packed I32 [6, 2]",
       "m.weight_scale F32 [6, 1]",
       "m.weight_shape I64 [2]"},
      {Scheme(NumberFormat::kInt8, Granularity::kGroup, 3),
       {6, 9},
       "m.weight_packed I32 [6, 3]",
       "m.weight_scale F32 [6, 3]",
       "m.weight_shape I64 [2]"},
      {Scheme(NumberFormat::kInt8, Granularity::kAxis),
       {6, 9},
       "m.weight I8 [6, 9]",
       "m.weight_scale F32 [6, 1]",
       "-"},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
       {6, 9},
       "m.weight F8_E4M3 [6, 9]",
       "m.weight_scale F32 [6, 1]",
       "-"},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kTensor),
       {6, 9},
       "m.weight F8_E4M3 [6, 9]",
       "m.weight_scale F32 [1]",
       "-"},
      {Scheme(NumberFormat::kFp16, Granularity::kTensor),
       {6, 9},
       "m.weight F16 [6, 9]",
       "-",
       "-"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(SchemeToString(c.scheme));
    const auto stored = StoreWeight(QuantStorage::kCompressedTensors,
                                    "m.weight", c.scheme, c.shape);
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(Text(stored->codes), c.codes);
    EXPECT_EQ(Text(stored->scale), c.scale);
    EXPECT_EQ(Text(stored->zero_point), "-");
    EXPECT_EQ(Text(stored->shape), c.stored_shape);
    EXPECT_EQ(stored->packing.offset, stored->shape.has_value());
  }
}

TEST(QuantStorageTest, CompressedTensorsHasNoPlaceFor) {
  QuantScheme asymmetric = Scheme(NumberFormat::kInt4, Granularity::kGroup, 3);
  asymmetric.symmetric = false;
  QuantScheme inner = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  inner.axis = 1;
  const struct {
    const char* name;
    QuantScheme scheme;
    Shape shape;
    const char* message;
  } cases[] = {
      {"m.weight", asymmetric, {6, 9}, "asymmetric schemes"},
      {"m.weight", inner, {6, 9}, "int8 axis 1 symmetric; use groups, or"},
      {"m.weight",
       Scheme(NumberFormat::kInt8, Granularity::kTensor),
       {6, 9},
       "int8 tensor symmetric; use groups, or a scale for each index"},
      {"m.weight",
       Scheme(NumberFormat::kFp8E4M3, Granularity::kGroup, 3),
       {6, 9},
       "fp8_e4m3 group 3; use a scale for each index of axis 0, or"},
      {"m.weight",
       Scheme(NumberFormat::kUInt8, Granularity::kAxis),
       {6, 9},
       "uint8; use int4, int8 or fp8_e4m3"},
      {"m.weight",
       Scheme(NumberFormat::kInt8, Granularity::kAxis),
       {6, 3, 3},
       "a quantized tensor of 3 dimensions; leave it as it is"},
      {"m.w",
       Scheme(NumberFormat::kInt8, Granularity::kAxis),
       {6, 9},
       "whose name does not end in '.weight'"},
  };
  for (const auto& c : cases) {
    ExpectError(StoreWeight(QuantStorage::kCompressedTensors, c.name, c.scheme,
                            c.shape),
                absl::StatusCode::kFailedPrecondition, c.message);
  }
}

}  // namespace
}  // namespace monoquant
