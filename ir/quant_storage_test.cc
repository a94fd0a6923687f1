#include "ir/quant_storage.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/json.h"
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

// The constants of a weight, one a line.
std::string ConstantsText(const StoredWeight& stored) {
  std::vector<std::string> lines;
  for (const StoredConstant& constant : stored.constants) {
    lines.push_back(Text(constant.part));
  }
  return absl::StrJoin(lines, "\n");
}

TEST(QuantStorageTest, NamesLeadBack) {
  for (QuantStorage storage :
       {QuantStorage::kPlain, QuantStorage::kCompressedTensors,
        QuantStorage::kGptq, QuantStorage::kAwq, QuantStorage::kFp8,
        QuantStorage::kTorchao, QuantStorage::kTorchAo,
        QuantStorage::kPackQuantized, QuantStorage::kIntQuantized,
        QuantStorage::kGptqV2, QuantStorage::kBitsandbytes,
        QuantStorage::kBitsandbytesNested, QuantStorage::kTorchaoBlocks,
        QuantStorage::kTorchQuantized}) {
    EXPECT_EQ(StorageFromName(StorageName(storage)), storage);
  }
  EXPECT_EQ(StorageNames(),
            "plain, compressed-tensors, gptq, awq, fp8, torchao, torch-ao, "
            "pack-quantized, int-quantized, gptq-v2, bitsandbytes, "
            "bitsandbytes-nested, torchao-blocks, torch-quantized");
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
  EXPECT_EQ(ConstantsText(stored), "");
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
  EXPECT_EQ(Text(stored.global_scale), "-");
}

// Scales of F8_E4M3 have one more above them, and are of groups.
TEST(QuantStorageTest, PlainGlobalScale) {
  QuantScheme scheme = Scheme(NumberFormat::kFp4E2M1, Granularity::kGroup, 3);
  scheme.scale_dtype = DType::kF8E4M3;
  const StoredWeight stored =
      StoreWeight(QuantStorage::kPlain, "w", scheme, {2, 9}).value();
  EXPECT_EQ(Text(stored.codes), "w U8 [2, 5]");
  EXPECT_EQ(Text(stored.scale), "w.scale F8_E4M3 [2, 3]");
  EXPECT_EQ(Text(stored.zero_point), "-");
  EXPECT_EQ(Text(stored.global_scale), "w.global_scale F32 []");
  scheme.group_size = 8192;
  ExpectError(StoreWeight(QuantStorage::kPlain, "w", scheme, {2, 8192}),
              absl::StatusCode::kFailedPrecondition,
              "plain has no place for fp4_e2m1 group 8192, F8_E4M3 scales; use "
              "groups of 16");
  scheme.granularity = Granularity::kAxis;
  ExpectError(StoreWeight(QuantStorage::kPlain, "w", scheme, {2, 9}),
              absl::StatusCode::kFailedPrecondition,
              "plain has no place for fp4_e2m1 axis 0, F8_E4M3 scales");
}

// The layouts of compressed-tensors, by number format and granularity.
TEST(QuantStorageTest, CompressedTensors) {
  const struct {
    QuantScheme scheme;
    Shape shape;
    const char* codes;
    const char* scale;
    const char* constants;
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
       ""},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
       {6, 9},
       "m.weight F8_E4M3 [6, 9]",
       "m.weight_scale F32 [6, 1]",
       ""},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kTensor),
       {6, 9},
       "m.weight F8_E4M3 [6, 9]",
       "m.weight_scale F32 [1]",
       ""},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 4),
       {6, 8},
       "m.weight F8_E4M3 [6, 8]",
       "m.weight_scale F32 [2, 2]",
       ""},
      {Scheme(NumberFormat::kFp16, Granularity::kTensor),
       {6, 9},
       "m.weight F16 [6, 9]",
       "-",
       ""},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(SchemeToString(c.scheme));
    const auto stored = StoreWeight(QuantStorage::kCompressedTensors,
                                    "m.weight", c.scheme, c.shape);
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(Text(stored->codes), c.codes);
    EXPECT_EQ(Text(stored->scale), c.scale);
    EXPECT_EQ(Text(stored->zero_point), "-");
    EXPECT_EQ(ConstantsText(*stored), c.constants);
    EXPECT_EQ(stored->packing.offset, !stored->constants.empty());
  }
}

TEST(QuantStorageTest, CompressedTensorsNamedSchemes) {
  std::string text;
  for (const NamedScheme& named : NamedSchemes()) {
    const StoredWeight stored = StoreWeight(QuantStorage::kCompressedTensors,
                                            "m.weight", named.scheme, {6, 96})
                                    .value();
    text += Text(stored.codes) + ", " + Text(stored.scale) + ", " +
            Text(stored.global_scale) + "\n";
    EXPECT_EQ(Text(stored.zero_point), "-");
    EXPECT_EQ(ConstantsText(stored), "");
    EXPECT_EQ(stored.packing, CodePacking());
  }
  EXPECT_EQ(text,
            "m.weight_packed U8 [6, 48], m.weight_scale U8 [6, 3], -\n"
            "m.weight F8_E4M3 [6, 96], m.weight_scale U8 [6, 3], -\n"
            "m.weight_packed U8 [6, 48], m.weight_scale F8_E4M3 [6, 6], "
            "m.weight_global_scale F32 [1]\n");
}

TEST(QuantStorageTest, CompressedTensorsHasNoPlaceFor) {
  QuantScheme wide = NamedSchemes()[0].scheme;
  wide.group_size = 48;
  QuantScheme float_scales = wide;
  float_scales.scale_dtype = DType::kF32;
  QuantScheme powers = Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis);
  powers.scale_dtype = DType::kF8E8M0;
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
       "fp8_e4m3 group 3; use a scale for each index of axis 0, for each "
       "block"},
      {"m.weight",
       Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 4),
       {6, 9},
       "whose columns are no multiple of 4"},
      {"m.weight",
       Scheme(NumberFormat::kInt8, Granularity::kBlock, 3),
       {6, 9},
       "int8 block 3 symmetric; use groups, or"},
      {"m.weight",
       Scheme(NumberFormat::kUInt8, Granularity::kAxis),
       {6, 9},
       "uint8; use int4, int8, fp8_e4m3, mxfp4, mxfp8 or nvfp4"},
      {"m.weight",
       wide,
       {6, 96},
       "fp4_e2m1 group 48, F8_E8M0 scales; use mxfp4, mxfp8 or nvfp4"},
      {"m.weight", float_scales, {6, 96}, "fp4_e2m1 group 48; use mxfp4"},
      {"m.weight", powers, {6, 96}, "fp8_e4m3 axis 0, F8_E8M0 scales; use"},
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

// The layouts of GPTQ and AWQ.
TEST(QuantStorageTest, GptqAndAwq) {
  const struct {
    QuantStorage storage;
    QuantScheme scheme;
    Shape shape;
    const char* codes;
    const char* scale;
    const char* zero_point;
    const char* constants;
  } cases[] = {
      {QuantStorage::kGptq,
       Scheme(NumberFormat::kInt4, Granularity::kGroup, 32),
       {64, 96},
       "m.qweight I32 [12, 64]",
       "m.scales F16 [3, 64]",
       "m.qzeros I32 [3, 8]",
       "m.g_idx I32 [96]"},
      {QuantStorage::kGptq,
       Scheme(NumberFormat::kUInt8, Granularity::kAxis),
       {64, 20},
       "m.qweight I32 [5, 64]",
       "m.scales F16 [1, 64]",
       "m.qzeros I32 [1, 16]",
       "m.g_idx I32 [20]"},
      {QuantStorage::kAwq,
       Scheme(NumberFormat::kUInt4, Granularity::kGroup, 32),
       {24, 96},
       "m.qweight I32 [96, 3]",
       "m.scales F16 [3, 24]",
       "m.qzeros I32 [3, 3]",
       ""},
      {QuantStorage::kAwq,
       Scheme(NumberFormat::kInt4, Granularity::kAxis),
       {8, 16},
       "m.qweight I32 [16, 1]",
       "m.scales F16 [1, 8]",
       "m.qzeros I32 [1, 1]",
       ""},
  };
  for (const auto& c : cases) {
    QuantScheme scheme = c.scheme;
    scheme.scale_dtype = DType::kF16;
    SCOPED_TRACE(SchemeToString(scheme));
    const auto stored = StoreWeight(c.storage, "m.weight", scheme, c.shape);
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(Text(stored->codes), c.codes);
    EXPECT_EQ(Text(stored->scale), c.scale);
    EXPECT_EQ(Text(stored->zero_point), c.zero_point);
    EXPECT_EQ(ConstantsText(*stored), c.constants);
  }
}

TEST(QuantStorageTest, GptqAndAwqHaveNoPlaceFor) {
  QuantScheme good = Scheme(NumberFormat::kInt4, Granularity::kGroup, 32);
  good.scale_dtype = DType::kF16;
  QuantScheme wide = good;
  wide.scale_dtype = DType::kF32;
  QuantScheme inner = good;
  inner.granularity = Granularity::kAxis;
  inner.axis = 1;
  QuantScheme bytes = good;
  bytes.format = NumberFormat::kInt8;
  QuantScheme fp8 = good;
  fp8.format = NumberFormat::kFp8E4M3;
  QuantScheme whole = good;
  whole.granularity = Granularity::kTensor;
  const struct {
    QuantStorage storage;
    const char* name;
    QuantScheme scheme;
    Shape shape;
    const char* message;
  } cases[] = {
      {QuantStorage::kGptq,
       "m.weight",
       wide,
       {32, 32},
       "gptq has no place for F32 scales; use F16"},
      {QuantStorage::kGptq,
       "m.weight",
       inner,
       {32, 32},
       "gptq has no place for int4 axis 1 symmetric, F16 scales; use groups"},
      {QuantStorage::kGptq, "m.weight", whole, {32, 32}, "use groups"},
      {QuantStorage::kGptq,
       "m.weight",
       fp8,
       {32, 32},
       "gptq has no place for fp8_e4m3; use int4 or int8"},
      {QuantStorage::kGptq,
       "m.weight",
       good,
       {36, 32},
       "a weight of shape [36, 32], whose rows are no multiple of 8; leave "
       "it"},
      {QuantStorage::kGptq,
       "m.weight",
       good,
       {32, 36},
       "whose columns are no multiple of 8"},
      {QuantStorage::kGptq,
       "m.weight",
       good,
       {32, 32, 3},
       "a quantized tensor of 3 dimensions"},
      {QuantStorage::kGptq,
       "m.w",
       good,
       {32, 32},
       "whose name does not end in '.weight'"},
      {QuantStorage::kAwq,
       "m.weight",
       bytes,
       {32, 32},
       "awq has no place for int8; use int4"},
      {QuantStorage::kAwq,
       "m.weight",
       good,
       {12, 32},
       "whose rows are no multiple of 8"},
      {QuantStorage::kAwq,
       "m.weight",
       good,
       {16, 36},
       "whose columns are no multiple of 8"},
  };
  for (const auto& c : cases) {
    ExpectError(StoreWeight(c.storage, c.name, c.scheme, c.shape),
                absl::StatusCode::kFailedPrecondition, c.message);
  }
  // A cast is no matter of the storage.
  EXPECT_TRUE(StoreWeight(QuantStorage::kAwq, "b",
                          Scheme(NumberFormat::kBf16, Granularity::kTensor),
                          {3})
                  .ok());
}

TEST(QuantStorageTest, Fp8) {
  const StoredWeight stored =
      StoreWeight(QuantStorage::kFp8, "m.weight",
                  Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128),
                  {256, 9})
          .value();
  EXPECT_EQ(Text(stored.codes), "m.weight F8_E4M3 [256, 9]");
  EXPECT_EQ(Text(stored.scale), "m.weight_scale_inv F32 [2, 1]");
  EXPECT_EQ(Text(stored.zero_point), "-");
  EXPECT_EQ(ConstantsText(stored), "");
  ExpectError(
      StoreWeight(QuantStorage::kFp8, "m.weight",
                  Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128),
                  {130, 9}),
      absl::StatusCode::kFailedPrecondition,
      "whose rows are no multiple of 128");
  QuantScheme halves = Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 4);
  halves.scale_dtype = DType::kF16;
  for (const auto& [scheme, message] :
       {std::pair{halves, "fp8 has no place for F16 scales; use F32"},
        std::pair{Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
                  "fp8 has no place for fp8_e4m3 axis 0; use fp8_e4m3 in"},
        std::pair{Scheme(NumberFormat::kInt8, Granularity::kBlock, 4),
                  "fp8 has no place for int8 block 4 symmetric; use"}}) {
    ExpectError(StoreWeight(QuantStorage::kFp8, "m.weight", scheme, {8, 8}),
                absl::StatusCode::kFailedPrecondition, message);
  }
}

TEST(QuantStorageTest, Torchao) {
  StoredWeight stored =
      StoreWeight(QuantStorage::kTorchao, "m.weight",
                  Scheme(NumberFormat::kInt8, Granularity::kAxis), {6, 9})
          .value();
  EXPECT_EQ(Text(stored.codes), "m._weight_qdata I8 [6, 9]");
  EXPECT_EQ(Text(stored.scale), "m._weight_scale F32 [6, 1]");
  EXPECT_EQ(Text(stored.zero_point), "-");
  EXPECT_EQ(ConstantsText(stored), "m._weight_zero_point I8 [6, 1]");
  stored =
      StoreWeight(QuantStorage::kTorchao, "m.weight",
                  Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis), {6, 9})
          .value();
  EXPECT_EQ(Text(stored.codes), "m._weight_qdata F8_E4M3 [6, 9]");
  EXPECT_EQ(ConstantsText(stored), "");
  QuantScheme asymmetric = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  asymmetric.symmetric = false;
  QuantScheme halves = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  halves.scale_dtype = DType::kBF16;
  for (const auto& [scheme, message] :
       {std::pair{asymmetric, "int8 axis 0 asymmetric; use symmetric"},
        std::pair{halves, "torchao has no place for BF16 scales; use F32"},
        std::pair{Scheme(NumberFormat::kInt8, Granularity::kGroup, 3),
                  "int8 group 3 symmetric; use a scale for each index"},
        std::pair{Scheme(NumberFormat::kInt4, Granularity::kAxis),
                  "torchao has no place for int4; use int8 or fp8_e4m3"}}) {
    ExpectError(StoreWeight(QuantStorage::kTorchao, "m.weight", scheme, {6, 9}),
                absl::StatusCode::kFailedPrecondition, message);
  }
}

// What torchao writes and monoquant does not.
TEST(QuantStorageTest, TorchaoBlocks) {
  const auto f16 = [](QuantScheme scheme) {
    scheme.scale_dtype = DType::kF16;
    return scheme;
  };
  const struct {
    QuantScheme scheme;
    const char* codes;
    const char* scale;
    const char* zero_points;  // "-" if there are none
  } cases[] = {
      {Scheme(NumberFormat::kInt8, Granularity::kAxis), "I8 [6, 9]",
       "F32 [6, 1]", "I8 [6, 1]"},
      {Scheme(NumberFormat::kInt8, Granularity::kTensor), "I8 [6, 9]",
       "F32 [1, 1]", "I8 [1, 1]"},
      {f16(Scheme(NumberFormat::kInt8, Granularity::kGroup, 3)), "I8 [6, 9]",
       "F16 [6, 3]", "I8 [6, 3]"},
      {Scheme(NumberFormat::kInt4, Granularity::kGroup, 3), "I8 [6, 9]",
       "F32 [6, 3]", "I8 [6, 3]"},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kTensor), "F8_E4M3 [6, 9]",
       "F32 [1, 1]", "-"},
      {Scheme(NumberFormat::kFp8E5M2, Granularity::kAxis), "F8_E5M2 [6, 9]",
       "F32 [6, 1]", "-"},
      {Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 3), "F8_E4M3 [6, 9]",
       "F32 [2, 3]", "-"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(SchemeToString(c.scheme));
    const StoredWeight stored =
        StoreWeight(QuantStorage::kTorchaoBlocks, "m.weight", c.scheme, {6, 9})
            .value();
    EXPECT_EQ(Text(stored.codes), absl::StrCat("m._weight_qdata ", c.codes));
    EXPECT_EQ(Text(stored.scale), absl::StrCat("m._weight_scale ", c.scale));
    EXPECT_EQ(Text(stored.zero_point), "-");
    EXPECT_EQ(stored.packing.code_bytes,
              c.scheme.format == NumberFormat::kInt4);
    ExpectError(CheckWritable(QuantStorage::kTorchaoBlocks, c.scheme, {6, 9}),
                absl::StatusCode::kFailedPrecondition,
                "torchao-blocks is read but not written; use torchao");
    if (c.zero_points[0] == '-') {
      EXPECT_EQ(ConstantsText(stored), "");
      continue;
    }
    const std::string zero_points =
        absl::StrCat("m._weight_zero_point ", c.zero_points);
    EXPECT_EQ(ConstantsText(stored), zero_points);
    EXPECT_TRUE(stored.constants[0].optional);
    EXPECT_EQ(
        ConstantBytes(ConstantKind::kZeroPoints, c.scheme, {6, 9}, DType::kF32)
            .size(),
        NumElements(stored.scale->shape).value());
    QuantScheme asymmetric = c.scheme;
    asymmetric.symmetric = false;
    const StoredWeight with_zero_points =
        StoreWeight(QuantStorage::kTorchaoBlocks, "m.weight", asymmetric,
                    {6, 9})
            .value();
    EXPECT_EQ(Text(with_zero_points.zero_point), zero_points);
    EXPECT_EQ(ConstantsText(with_zero_points), "");
  }
  QuantScheme columns = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  columns.axis = 1;
  QuantScheme powers = Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis);
  powers.scale_dtype = DType::kF8E8M0;
  for (const auto& [scheme, message] :
       {std::pair{columns, "int8 axis 1 symmetric; use groups, or a scale"},
        std::pair{powers, "F8_E8M0 scales; use F32, F16 or BF16"},
        std::pair{Scheme(NumberFormat::kInt8, Granularity::kBlock, 3),
                  "int8 block 3 symmetric; use groups"},
        std::pair{Scheme(NumberFormat::kUInt8, Granularity::kAxis),
                  "uint8; use int4, int8, fp8_e4m3 or fp8_e5m2"}}) {
    ExpectError(
        StoreWeight(QuantStorage::kTorchaoBlocks, "m.weight", scheme, {6, 9}),
        absl::StatusCode::kFailedPrecondition, message);
  }
  ExpectError(
      StoreWeight(QuantStorage::kTorchaoBlocks, "m.weight",
                  Scheme(NumberFormat::kInt8, Granularity::kTensor), {6, 3, 3}),
      absl::StatusCode::kFailedPrecondition, "3 dimensions");
}

// One scale and zero point a row, in the types of torch's qint8 tensors.
TEST(QuantStorageTest, TorchAo) {
  const QuantScheme scheme = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  for (const std::string name : {"m.weight", "m.weight_ih_l0",
                                 "m.weight_hh_l1_reverse", "m.weight_ih"}) {
    const StoredWeight stored =
        StoreWeight(QuantStorage::kTorchAo, name, scheme, {6, 9}).value();
    EXPECT_EQ(Text(stored.codes), name + " I8 [6, 9]");
    EXPECT_EQ(Text(stored.scale), name + ".scale F64 [6]");
    EXPECT_EQ(Text(stored.zero_point), name + ".zero_point I64 [6]");
    EXPECT_EQ(ConstantsText(stored), "");
    EXPECT_EQ(stored.packing, CodePacking());
  }
  const StoredWeight convolution =
      StoreWeight(QuantStorage::kTorchAo, "m.weight", scheme, {6, 9, 3, 3})
          .value();
  EXPECT_EQ(Text(convolution.codes), "m.weight I8 [6, 9, 3, 3]");
  EXPECT_EQ(Text(convolution.scale), "m.weight.scale F64 [6]");
  EXPECT_EQ(Text(convolution.zero_point), "m.weight.zero_point I64 [6]");
}

// Embeddings have codes without a sign, and parameters that are floats.
TEST(QuantStorageTest, TorchAoEmbeddings) {
  const StoredWeight stored =
      StoreWeight(QuantStorage::kTorchAo, "m.weight",
                  Scheme(NumberFormat::kUInt8, Granularity::kAxis), {6, 9})
          .value();
  EXPECT_EQ(Text(stored.codes), "m.weight U8 [6, 9]");
  EXPECT_EQ(Text(stored.scale), "m.weight.scale F32 [6]");
  EXPECT_EQ(Text(stored.zero_point), "m.weight.zero_point F32 [6]");
  EXPECT_EQ(ConstantsText(stored), "");
  EXPECT_EQ(stored.packing, CodePacking());
}

// As torch.ao's modules have them, of any shape.
TEST(QuantStorageTest, TorchQuantized) {
  constexpr QuantStorage kStorage = QuantStorage::kTorchQuantized;
  QuantScheme scheme = Scheme(NumberFormat::kInt8, Granularity::kTensor);
  StoredWeight stored =
      StoreWeight(kStorage, "conv.weight", scheme, {8, 3, 5}).value();
  EXPECT_EQ(Text(stored.codes), "conv.weight I8 [8, 3, 5]");
  EXPECT_EQ(Text(stored.scale), "conv.weight.scale F64 []");
  EXPECT_EQ(Text(stored.zero_point), "conv.weight.zero_point I64 []");
  EXPECT_TRUE(stored.constants.empty());
  scheme = Scheme(NumberFormat::kUInt8, Granularity::kAxis);
  scheme.axis = 1;
  for (const bool symmetric : {true, false}) {
    scheme.symmetric = symmetric;
    stored = StoreWeight(kStorage, "w", scheme, {8, 3, 5}).value();
    EXPECT_EQ(Text(stored.codes), "w U8 [8, 3, 5]");
    EXPECT_EQ(Text(stored.scale), "w.scale F64 [3]");
    EXPECT_EQ(Text(stored.zero_point), "w.zero_point I64 [3]");
  }
  EXPECT_EQ(DefaultScaleDType(kStorage, DType::kBF16), DType::kF32);
  constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;
  ExpectError(CheckWritable(kStorage, scheme, {8, 3, 5}), kRefused,
              "torch-quantized is read but not written; use torch-ao");
  ExpectError(
      StoreWeight(kStorage, "w",
                  Scheme(NumberFormat::kInt4, Granularity::kAxis), {8, 4}),
      kRefused, "torch-quantized has no place for int4; use int8 or uint8");
  ExpectError(
      StoreWeight(kStorage, "w",
                  Scheme(NumberFormat::kInt8, Granularity::kGroup, 2), {8, 4}),
      kRefused, "use one scale, or one for each index of an axis");
}

TEST(QuantStorageTest, TorchAoHasNoPlaceFor) {
  const QuantScheme good = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  const QuantScheme embedding =
      Scheme(NumberFormat::kUInt8, Granularity::kAxis);
  QuantScheme asymmetric = good;
  asymmetric.symmetric = false;
  QuantScheme asymmetric_embedding = embedding;
  asymmetric_embedding.symmetric = false;
  QuantScheme columns = good;
  columns.axis = 1;
  const struct {
    const char* name;
    QuantScheme scheme;
    Shape shape;
    const char* message;
  } cases[] = {
      {"m.weight",
       good,
       {2, 1, 1, 1, 1, 1},
       "torch-ao has no place for a quantized tensor of 6 dimensions; leave it "
       "as it is (--skip)"},
      {"m.weight", good, {6}, "a quantized tensor of 1 dimensions; leave"},
      {"m.weight_ih", good, {6, 9, 3}, "whose name is not that of a weight"},
      {"weight", good, {6, 9}, "whose name is not that of a weight of"},
      {"m.in_proj_weight", good, {6, 9}, "whose name is not that of a weight"},
      {"m.weight_ih",
       embedding,
       {6, 9},
       "torch-ao has no place for uint8; use int8"},
      {"m.weight", embedding, {6, 9, 3}, "no place for uint8; use int8"},
      {"m.weight", asymmetric_embedding, {6, 9}, "use symmetric"},
      {"m.weight",
       Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
       {6, 9},
       "torch-ao has no place for fp8_e4m3; use int8"},
      {"m.weight", asymmetric, {6, 9}, "use symmetric"},
      {"m.weight",
       columns,
       {6, 9},
       "torch-ao has no place for int8 axis 1 symmetric; use a scale for "
       "each "
       "index of axis 0"},
      {"m.weight",
       Scheme(NumberFormat::kInt8, Granularity::kTensor),
       {6, 9},
       "no place for int8 tensor symmetric; use a scale for each index"},
      {"m.weight",
       Scheme(NumberFormat::kInt8, Granularity::kGroup, 3),
       {6, 9},
       "no place for int8 group 3 symmetric; use a scale for each index"},
  };
  for (const auto& c : cases) {
    ExpectError(StoreWeight(QuantStorage::kTorchAo, c.name, c.scheme, c.shape),
                absl::StatusCode::kFailedPrecondition, c.message);
  }
  EXPECT_TRUE(StoreWeight(QuantStorage::kTorchAo, "b",
                          Scheme(NumberFormat::kFp16, Granularity::kTensor),
                          {3})
                  .ok());
}

// The formats of compressed-tensors that are only read.
TEST(QuantStorageTest, PackQuantizedAndIntQuantized) {
  const struct {
    QuantStorage storage;
    QuantScheme scheme;
    bool symmetric;
    const char* codes;
    const char* scale;
    const char* zero_point;
    const char* constants;
  } cases[] = {
      {QuantStorage::kPackQuantized,
       Scheme(NumberFormat::kInt4, Granularity::kGroup, 3), true,
       "m.weight_packed I32 [6, 2]", "m.weight_scale F32 [6, 3]", "-",
       "m.weight_shape I64 [2]"},
      {QuantStorage::kPackQuantized,
       Scheme(NumberFormat::kInt4, Granularity::kGroup, 3), false,
       "m.weight_packed I32 [6, 2]", "m.weight_scale F32 [6, 3]",
       "m.weight_zero_point I32 [1, 3]", "m.weight_shape I64 [2]"},
      {QuantStorage::kPackQuantized,
       Scheme(NumberFormat::kInt8, Granularity::kAxis), false,
       "m.weight_packed I32 [6, 3]", "m.weight_scale F32 [6, 1]",
       "m.weight_zero_point I32 [2, 1]", "m.weight_shape I64 [2]"},
      {QuantStorage::kPackQuantized,
       Scheme(NumberFormat::kInt8, Granularity::kTensor), false,
       "m.weight_packed I32 [6, 3]", "m.weight_scale F32 [1]",
       "m.weight_zero_point I8 [1]", "m.weight_shape I64 [2]"},
      {QuantStorage::kIntQuantized,
       Scheme(NumberFormat::kInt8, Granularity::kAxis), true,
       "m.weight I8 [6, 9]", "m.weight_scale F32 [6, 1]", "-", ""},
      {QuantStorage::kIntQuantized,
       Scheme(NumberFormat::kInt8, Granularity::kGroup, 3), false,
       "m.weight I8 [6, 9]", "m.weight_scale F32 [6, 3]",
       "m.weight_zero_point I8 [6, 3]", ""},
      {QuantStorage::kIntQuantized,
       Scheme(NumberFormat::kInt8, Granularity::kTensor), false,
       "m.weight I8 [6, 9]", "m.weight_scale F32 [1]",
       "m.weight_zero_point I8 [1]", ""},
  };
  for (const auto& c : cases) {
    QuantScheme scheme = c.scheme;
    scheme.symmetric = c.symmetric;
    SCOPED_TRACE(SchemeToString(scheme));
    const auto stored = StoreWeight(c.storage, "m.weight", scheme, {6, 9});
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(Text(stored->codes), c.codes);
    EXPECT_EQ(Text(stored->scale), c.scale);
    EXPECT_EQ(Text(stored->zero_point), c.zero_point);
    EXPECT_EQ(ConstantsText(*stored), c.constants);
    EXPECT_EQ(stored->packing.offset, !stored->constants.empty());
    EXPECT_EQ(stored->packing.zero_point_words,
              stored->zero_point.has_value() &&
                  stored->zero_point->dtype == DType::kI32);
  }
  QuantScheme inner = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  inner.axis = 1;
  ExpectError(
      StoreWeight(QuantStorage::kPackQuantized, "m.weight", inner, {6, 9}),
      absl::StatusCode::kFailedPrecondition, "int8 axis 1 symmetric");
  ExpectError(
      StoreWeight(QuantStorage::kPackQuantized, "m.weight",
                  Scheme(NumberFormat::kUInt4, Granularity::kAxis), {6, 9}),
      absl::StatusCode::kFailedPrecondition, "uint4; use int4 or int8");
  ExpectError(
      StoreWeight(QuantStorage::kIntQuantized, "m.weight",
                  Scheme(NumberFormat::kInt4, Granularity::kAxis), {6, 9}),
      absl::StatusCode::kFailedPrecondition, "int4; use int8");
  ExpectError(
      StoreWeight(QuantStorage::kIntQuantized, "m",
                  Scheme(NumberFormat::kInt8, Granularity::kAxis), {6, 9}),
      absl::StatusCode::kFailedPrecondition, "end in '.weight'");
}

// Version 2 has the tensors of version 1.
TEST(QuantStorageTest, GptqV2) {
  QuantScheme scheme = Scheme(NumberFormat::kUInt4, Granularity::kGroup, 16);
  scheme.scale_dtype = DType::kBF16;
  const auto one =
      StoreWeight(QuantStorage::kGptq, "m.weight", scheme, {8, 32});
  const auto two =
      StoreWeight(QuantStorage::kGptqV2, "m.weight", scheme, {8, 32});
  ASSERT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
  EXPECT_EQ(Text(two->scale), "m.scales BF16 [2, 8]");
  EXPECT_EQ(Text(two->zero_point), Text(one->zero_point));
  EXPECT_EQ(ConstantsText(*two), ConstantsText(*one));
  EXPECT_TRUE(one->packing.zero_points_less_1);
  EXPECT_FALSE(two->packing.zero_points_less_1);
}

// What can be read is more than what is written.
TEST(QuantStorageTest, WhatOutputsMayHave) {
  QuantScheme scheme = Scheme(NumberFormat::kInt4, Granularity::kGroup, 8);
  scheme.scale_dtype = DType::kF16;
  QuantScheme wide = scheme;
  wide.scale_dtype = DType::kBF16;
  const Shape shape = {32, 32};
  for (QuantStorage storage :
       {QuantStorage::kPlain, QuantStorage::kCompressedTensors,
        QuantStorage::kGptq, QuantStorage::kAwq}) {
    EXPECT_TRUE(CheckWritable(storage, scheme, shape).ok());
  }
  const auto cannot = absl::StatusCode::kFailedPrecondition;
  ExpectError(CheckWritable(QuantStorage::kGptq, scheme, {8, 32}), cannot,
              "a weight of shape [8, 32], whose rows are no multiple of 32");
  for (QuantStorage storage : {QuantStorage::kGptq, QuantStorage::kAwq}) {
    ExpectError(CheckWritable(storage, wide, shape), cannot,
                "has no place for BF16 scales; use F16");
  }
  ExpectError(CheckWritable(QuantStorage::kGptqV2, scheme, shape), cannot,
              "gptq-v2 is read but not written; use gptq");
  for (QuantStorage storage :
       {QuantStorage::kPackQuantized, QuantStorage::kIntQuantized}) {
    ExpectError(CheckWritable(storage, scheme, shape), cannot,
                "is read but not written; use compressed-tensors");
    EXPECT_TRUE(CheckWritable(storage,
                              Scheme(NumberFormat::kBf16, Granularity::kTensor),
                              {3})
                    .ok());
  }
}

TEST(QuantStorageTest, Bitsandbytes) {
  const QuantScheme nf4 = Scheme(NumberFormat::kNf4, Granularity::kGroup, 64);
  const StoredWeight stored =
      StoreWeight(QuantStorage::kBitsandbytes, "m.weight", nf4, {6, 128})
          .value();
  EXPECT_EQ(Text(stored.codes), "m.weight U8 [384, 1]");
  EXPECT_EQ(Text(stored.scale), "m.weight.absmax F32 [12]");
  EXPECT_EQ(Text(stored.zero_point), "-");
  EXPECT_EQ(ConstantsText(stored),
            "m.weight.quant_map F32 [16]\n"
            "m.weight.quant_state.bitsandbytes__nf4 U8 [160]");
  EXPECT_TRUE(stored.packing.first_code_high);
  const std::vector<uint8_t> state =
      ConstantBytes(ConstantKind::kQuantState, nf4, {6, 128}, DType::kBF16);
  EXPECT_EQ(state.size(), 160u);
  EXPECT_EQ(ParseJson(std::string(state.begin(), state.end()))->ToString(),
            R"({"quant_type":"nf4","blocksize":64,"dtype":"bfloat16",)"
            R"("shape":[6,128]})");
  const std::vector<uint8_t> map =
      ConstantBytes(ConstantKind::kCodebook, nf4, {6, 128}, DType::kBF16);
  EXPECT_EQ(map.size(), 64u);
  EXPECT_EQ(std::vector<uint8_t>(map.begin(), map.begin() + 4),
            (std::vector<uint8_t>{0, 0, 0x80, 0xbf}));  // -1
  QuantScheme halves = nf4;
  halves.scale_dtype = DType::kBF16;
  for (const auto& [scheme, message] :
       {std::pair{halves, "bitsandbytes has no place for BF16 scales; use F32"},
        std::pair{Scheme(NumberFormat::kNf4, Granularity::kGroup, 32),
                  "nf4 group 32; use groups of 64, or of another power of two"},
        std::pair{Scheme(NumberFormat::kNf4, Granularity::kAxis),
                  "nf4 axis 0; use groups of 64"},
        std::pair{Scheme(NumberFormat::kInt4, Granularity::kGroup, 64),
                  "bitsandbytes has no place for int4; use nf4 or fp4"}}) {
    ExpectError(
        StoreWeight(QuantStorage::kBitsandbytes, "m.weight", scheme, {6, 128}),
        absl::StatusCode::kFailedPrecondition, message);
  }
}

TEST(QuantStorageTest, BitsandbytesOfEightBits) {
  const QuantScheme scheme = Scheme(NumberFormat::kLlmInt8, Granularity::kAxis);
  const StoredWeight stored =
      StoreWeight(QuantStorage::kBitsandbytes, "m.weight", scheme, {6, 9})
          .value();
  EXPECT_EQ(Text(stored.codes), "m.weight I8 [6, 9]");
  EXPECT_EQ(Text(stored.scale), "m.SCB F32 [6]");
  EXPECT_EQ(Text(stored.zero_point), "-");
  EXPECT_EQ(ConstantsText(stored), "m.weight_format U8 []");
  EXPECT_TRUE(stored.constants[0].optional);
  EXPECT_EQ(stored.packing, CodePacking());
  EXPECT_EQ(
      ConstantBytes(ConstantKind::kWeightFormat, scheme, {6, 9}, DType::kBF16),
      std::vector<uint8_t>{0});
  EXPECT_TRUE(CheckWritable(QuantStorage::kBitsandbytes, scheme, {6, 9}).ok());
  QuantScheme halves = scheme;
  halves.scale_dtype = DType::kF16;
  ExpectError(
      StoreWeight(QuantStorage::kBitsandbytes, "m.weight", halves, {6, 9}),
      absl::StatusCode::kFailedPrecondition,
      "bitsandbytes has no place for F16 scales; use F32");
  ExpectError(
      StoreWeight(QuantStorage::kBitsandbytes, "m.weight",
                  Scheme(NumberFormat::kInt8, Granularity::kAxis), {6, 9}),
      absl::StatusCode::kFailedPrecondition,
      "bitsandbytes has no place for int8; use llm_int8");
  ExpectError(StoreWeight(QuantStorage::kBitsandbytesNested, "m.weight", scheme,
                          {6, 9}),
              absl::StatusCode::kFailedPrecondition,
              "bitsandbytes-nested has no place for llm_int8; use nf4 or fp4");
}

// Scales are codes, in blocks of 256 of which the last may be short.
TEST(QuantStorageTest, BitsandbytesNested) {
  const QuantScheme nf4 = Scheme(NumberFormat::kNf4, Granularity::kGroup, 64);
  const struct {
    Shape shape;
    const char* scale;
    const char* nested;
  } cases[] = {{{6, 128}, "m.weight.absmax U8 [12]", "F32 [1]"},
               {{128, 128}, "m.weight.absmax U8 [256]", "F32 [1]"},
               {{257, 64}, "m.weight.absmax U8 [257]", "F32 [2]"}};
  for (const auto& c : cases) {
    const StoredWeight stored =
        StoreWeight(QuantStorage::kBitsandbytesNested, "m.weight", nf4, c.shape)
            .value();
    EXPECT_EQ(Text(stored.scale), c.scale);
    EXPECT_EQ(ConstantsText(stored),
              absl::StrCat("m.weight.quant_map F32 [16]\n"
                           "m.weight.quant_state.bitsandbytes__nf4 U8 [256]\n"
                           "m.weight.nested_absmax ",
                           c.nested,
                           "\n"
                           "m.weight.nested_quant_map F32 [256]"));
    EXPECT_TRUE(stored.packing.first_code_high);
    EXPECT_EQ(stored.packing.scale_block, 256u);
  }
  EXPECT_EQ(StoreWeight(QuantStorage::kBitsandbytes, "m.weight", nf4, {6, 128})
                .value()
                .packing.scale_block,
            1u);
  EXPECT_TRUE(
      CheckWritable(QuantStorage::kBitsandbytesNested, nf4, {6, 128}).ok());
  EXPECT_EQ(StoredSchemeToString(QuantStorage::kBitsandbytesNested, nf4),
            "nf4 group 64, double quant");
  EXPECT_EQ(StoredSchemeToString(QuantStorage::kBitsandbytes, nf4),
            "nf4 group 64");
}

TEST(QuantStorageTest, ConstantsOfBitsandbytesNested) {
  const QuantScheme nf4 = Scheme(NumberFormat::kNf4, Granularity::kGroup, 64);
  const auto bytes = [&](ConstantKind kind, float offset) {
    return ConstantBytes(kind, nf4, {6, 128}, DType::kBF16, offset);
  };
  EXPECT_TRUE(bytes(ConstantKind::kNestedScales, 1).empty());
  const std::vector<uint8_t> codebook = bytes(ConstantKind::kNestedCodebook, 1);
  float numbers[256];
  ASSERT_EQ(codebook.size(), sizeof(numbers));
  std::memcpy(numbers, codebook.data(), sizeof(numbers));
  for (int i = 0; i < 127; ++i) {
    EXPECT_LT(numbers[i], numbers[i + 1]);
    EXPECT_EQ(numbers[i], -numbers[254 - i]);
  }
  EXPECT_EQ(numbers[127], 0);
  EXPECT_EQ(numbers[254], 0.99296874f);
  EXPECT_EQ(numbers[255], 1);
  // Every float comes back, also the smallest and the largest.
  for (float offset :
       {0.0f, 0.25f, 1.2736474f, 0.1f, 0x1p-149f, 0x1.fffffep127f}) {
    const std::vector<uint8_t> state = bytes(ConstantKind::kQuantState, offset);
    EXPECT_EQ(state.size(), 256u);
    const absl::StatusOr<Json> json =
        ParseJson(std::string(state.begin(), state.end()));
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_EQ(*json->Find("dtype"), Json("bfloat16"));
    EXPECT_EQ(*json->Find("nested_blocksize"), Json(256));
    EXPECT_EQ(*json->Find("nested_dtype"), Json("float32"));
    const double* found = json->Find("nested_offset")->AsDouble();
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(static_cast<float>(*found), offset);
  }
  // The longest text there is.
  const int64_t long_side = int64_t{1} << 62;
  const std::vector<uint8_t> longest =
      ConstantBytes(ConstantKind::kQuantState,
                    Scheme(NumberFormat::kFp4, Granularity::kGroup, 4096),
                    {long_side, long_side}, DType::kBF16, 1.17549435e-38f);
  EXPECT_EQ(longest.size(), 256u);
  EXPECT_EQ(longest.back(), ' ');
}

// Those of bitsandbytes vary with its version and with what it has to say.
TEST(QuantStorageTest, ShapesThatAreRead) {
  const QuantScheme nf4 = Scheme(NumberFormat::kNf4, Granularity::kGroup, 64);
  const StoredWeight stored =
      StoreWeight(QuantStorage::kBitsandbytes, "m.weight", nf4, {6, 128})
          .value();
  EXPECT_TRUE(CanHaveShape(stored.codes, {384, 1}));
  EXPECT_TRUE(CanHaveShape(stored.codes, {384}));
  EXPECT_FALSE(CanHaveShape(stored.codes, {1, 384}));
  EXPECT_FALSE(CanHaveShape(stored.codes, {383}));
  EXPECT_TRUE(CanHaveShape(*stored.scale, {12}));
  EXPECT_FALSE(CanHaveShape(*stored.scale, {12, 1}));
  EXPECT_FALSE(CanHaveShape(*stored.scale, {}));
  const StoredPart& map = stored.constants[0].part;
  EXPECT_FALSE(CanHaveShape(map, {17}));
  const StoredPart& state = stored.constants[1].part;
  for (int64_t length : {1, 80, 160, 65536}) {
    EXPECT_TRUE(CanHaveShape(state, {length}));
  }
  EXPECT_FALSE(CanHaveShape(state, {0}));
  EXPECT_FALSE(CanHaveShape(state, {65537}));
  EXPECT_FALSE(CanHaveShape(state, {}));
  EXPECT_FALSE(CanHaveShape(state, {80, 1}));
}

TEST(QuantStorageTest, ScaleTypesByDefault) {
  for (DType weight : {DType::kF32, DType::kF16, DType::kBF16}) {
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kPlain, weight), DType::kF32);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kCompressedTensors, weight),
              weight);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kGptq, weight), DType::kF16);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kAwq, weight), DType::kF16);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kFp8, weight), DType::kF32);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kTorchao, weight), DType::kF32);
    EXPECT_EQ(DefaultScaleDType(QuantStorage::kTorchAo, weight), DType::kF32);
  }
}

TEST(QuantStorageTest, Constants) {
  const QuantScheme scheme =
      Scheme(NumberFormat::kInt4, Granularity::kGroup, 2);
  EXPECT_EQ(
      ConstantBytes(ConstantKind::kDimensions, scheme, {3, 258}, DType::kF32),
      (std::vector<uint8_t>{3, 0, 0, 0, 0, 0, 0, 0,  //
                            2, 1, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(
      ConstantBytes(ConstantKind::kGroupIndex, scheme, {3, 6}, DType::kF32),
      (std::vector<uint8_t>{0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,  //
                            1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0}));
  EXPECT_EQ(ConstantBytes(ConstantKind::kGroupIndex,
                          Scheme(NumberFormat::kInt8, Granularity::kAxis),
                          {3, 2}, DType::kF32),
            std::vector<uint8_t>(8, 0));
  EXPECT_EQ(ConstantBytes(ConstantKind::kZeroPoints,
                          Scheme(NumberFormat::kInt8, Granularity::kAxis),
                          {3, 2}, DType::kF32),
            std::vector<uint8_t>(3, 0));
}

}  // namespace
}  // namespace monoquant
