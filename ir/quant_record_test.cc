#include "ir/quant_record.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

// One tensor each of an integer format per axis, a packed one with groups and
// a cast.
QuantRecord MakeRecord() {
  QuantRecord record;
  record.version = "0.1.0";
  record.source_container = "torch";
  record.source_name = "model.pt";
  record.recipe = "{\"rules\":[]}";
  QuantizedTensor& a = record.tensors.emplace_back();
  a = {"a", {}, DType::kF32, {4, 6}, "a.scale", "a.zero_point"};
  QuantizedTensor& b = record.tensors.emplace_back();
  b = {"b", {}, DType::kBF16, {3, 8}, "b.scale", "b.zero_point"};
  b.scheme.format = NumberFormat::kInt4;
  b.scheme.granularity = Granularity::kGroup;
  b.scheme.group_size = 4;
  b.scheme.symmetric = false;
  QuantizedTensor& c = record.tensors.emplace_back();
  c = {"c", {}, DType::kF64, {}, "", ""};
  c.scheme.format = NumberFormat::kBf16;
  return record;
}

constexpr char kJson[] =
    "{\"version\":\"0.1.0\","
    "\"source\":{\"container\":\"torch\",\"name\":\"model.pt\"},"
    "\"recipe\":{\"rules\":[]},"
    "\"tensors\":["
    "{\"name\":\"a\",\"dtype\":\"F32\",\"shape\":[4,6],"
    "\"scheme\":{\"format\":\"int8\",\"granularity\":\"axis\",\"axis\":0,"
    "\"symmetric\":true,\"convention\":\"torch\"},"
    "\"scale\":\"a.scale\",\"zero_point\":\"a.zero_point\"},"
    "{\"name\":\"b\",\"dtype\":\"BF16\",\"shape\":[3,8],"
    "\"scheme\":{\"format\":\"int4\",\"granularity\":\"group\",\"group_size\":"
    "4,"
    "\"symmetric\":false,\"convention\":\"torch\"},"
    "\"scale\":\"b.scale\",\"zero_point\":\"b.zero_point\"},"
    "{\"name\":\"c\",\"dtype\":\"F64\",\"shape\":[],"
    "\"scheme\":{\"format\":\"bf16\"}}]}";

TEST(QuantRecordTest, Json) {
  EXPECT_EQ(QuantRecordToJson(MakeRecord()), kJson);
  const absl::StatusOr<QuantRecord> record = QuantRecordFromJson(kJson);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(QuantRecordToJson(*record), kJson);
  EXPECT_EQ(record->recipe, "{\"rules\":[]}");
  EXPECT_EQ(record->tensors[1].scheme, MakeRecord().tensors[1].scheme);
  EXPECT_EQ(record->tensors[2].shape, Shape{});
}

TEST(QuantRecordTest, RecipeMayBeAbsent) {
  QuantRecord record = MakeRecord();
  for (const char* recipe : {"", "not JSON", "[]"}) {
    record.recipe = recipe;
    const std::string json = QuantRecordToJson(record);
    EXPECT_EQ(json.find("recipe"), std::string::npos);
    EXPECT_EQ(QuantRecordFromJson(json).value().recipe, "");
  }
}

// Weights of another program have a record without a version, which is none to
// write.
TEST(QuantRecordTest, OfAnotherProgram) {
  QuantRecord record;
  EXPECT_TRUE(record.empty());
  EXPECT_TRUE(CheckHasWriter(record).ok());
  record.version = "0.1.0";
  EXPECT_FALSE(record.empty());
  EXPECT_TRUE(CheckHasWriter(record).ok());
  record = MakeRecord();
  EXPECT_TRUE(CheckHasWriter(record).ok());
  record.version = "";
  EXPECT_FALSE(record.empty());
  ExpectError(CheckHasWriter(record), absl::StatusCode::kFailedPrecondition,
              "tensor 'a': was quantized by another program");
}

// Each case damages one place of the text above.
TEST(QuantRecordTest, JsonRefuses) {
  const struct {
    const char* from;
    const char* to;
    const char* message;
  } cases[] = {
      {"{\"version\"", "[\"version\"", "JSON error"},
      {"\"version\":\"0.1.0\",", "", "\"version\" must be a string"},
      {"\"0.1.0\"", "\"\"", "\"version\" must be a version"},
      {"\"0.1.0\"", "1", "\"version\" must be a string, found 1"},
      {"\"source\":", "\"sauce\":", "unknown member \"sauce\" in \"record\""},
      {"\"name\":\"model.pt\"", "\"path\":\"model.pt\"", "\"path\""},
      {"{\"rules\":[]}", "[]", "\"recipe\" must be an object"},
      {"\"tensors\":[", "\"tensors\":{\"x\":[", "JSON error"},
      {"\"name\":\"a\"", "\"name\":null", "\"name\" must be a string"},
      {"\"F32\"", "\"I8\"", "\"dtype\" must be F16, BF16, F32 or F64"},
      {"\"F32\"", "\"float\"", "\"dtype\" must be F16, BF16, F32 or F64"},
      {"[4,6]", "[4,-6]", "negative"},
      {"[4,6]", "[4,6.5]", "\"shape\" must be an array of integers"},
      {"[4,6]", "24", "\"shape\" must be an array"},
      {"\"int8\"", "\"int9\"", "\"format\" must be one of"},
      {",\"scale\":\"a.scale\"", "", "\"scale\" must be a string"},
      {",\"zero_point\":\"a.zero_point\"", "", "\"zero_point\" must be"},
      {"\"zero_point\":\"a.", "\"extra\":1,\"zero_point\":\"a.",
       "unknown member \"extra\""},
      {"{\"format\":\"bf16\"}}", "{\"format\":\"bf16\"},\"scale\":\"x\"}",
       "\"scale\" must be absent for this scheme"},
      {"\"scheme\":{\"format\":\"bf16\"}",
       "\"scheme\":{\"format\":\"bf16\"},\"storage\":\"gguf\"",
       "\"storage\" must be one of plain, compressed-tensors, gptq, awq, fp8, "
       "torchao, torch-ao, pack-quantized, int-quantized, gptq-v2, "
       "bitsandbytes, bitsandbytes-nested, torchao-blocks, torch-quantized, "
       "found \"gguf\""},
      {"\"scale\":\"a.scale\"", "\"codes\":\"x\",\"scale\":\"a.scale\"",
       "\"codes\" must be absent for this scheme"},
  };
  for (const auto& c : cases) {
    const std::string text = absl::StrReplaceAll(kJson, {{c.from, c.to}});
    ASSERT_NE(text, kJson);
    SCOPED_TRACE(c.to);
    ExpectError(QuantRecordFromJson(text), absl::StatusCode::kInvalidArgument,
                c.message);
  }
}

// The tensors that MakeRecord describes.
struct Stored {
  std::string name;
  DType dtype;
  Shape shape;
};

std::vector<Stored> MakeStored() {
  return {
      {"a", DType::kI8, {4, 6}},        {"a.scale", DType::kF32, {4}},
      {"a.zero_point", DType::kI8, {}}, {"b", DType::kU8, {3, 4}},
      {"b.scale", DType::kF32, {3, 2}}, {"b.zero_point", DType::kI8, {3, 2}},
      {"c", DType::kBF16, {}},          {"other", DType::kF32, {2}},
  };
}

absl::Status Validate(const QuantRecord& record,
                      const std::vector<Stored>& stored) {
  std::vector<StoredTensor> tensors;
  for (const Stored& s : stored) tensors.push_back({s.name, s.dtype, s.shape});
  return ValidateQuantRecord(record, tensors);
}

TEST(ValidateQuantRecordTest, AcceptsWhatFits) {
  EXPECT_TRUE(Validate(MakeRecord(), MakeStored()).ok())
      << Validate(MakeRecord(), MakeStored());
  // A zero point may have the shape of the scale although it is symmetric.
  std::vector<Stored> stored = MakeStored();
  stored[2].shape = {4};
  EXPECT_TRUE(Validate(MakeRecord(), stored).ok());
}

// FP8 has scales and no zero points.
TEST(ValidateQuantRecordTest, Float8) {
  QuantRecord record;
  record.version = "0.1.0";
  QuantizedTensor& f = record.tensors.emplace_back();
  f = {"f", {}, DType::kF16, {3, 8}, "f.scale", ""};
  f.scheme.format = NumberFormat::kFp8E4M3;
  const std::vector<Stored> stored = {{"f", DType::kF8E4M3, {3, 8}},
                                      {"f.scale", DType::kF32, {3}}};
  EXPECT_TRUE(Validate(record, stored).ok());

  const std::string json = QuantRecordToJson(record);
  EXPECT_THAT(json, ::testing::HasSubstr(
                        R"("scheme":{"format":"fp8_e4m3","granularity":"axis",)"
                        R"("axis":0},"scale":"f.scale"}])"));
  const absl::StatusOr<QuantRecord> read = QuantRecordFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(QuantRecordToJson(*read), json);
  std::string with_zero_point = json;
  with_zero_point.insert(json.find("\"f.scale\"") + 9,
                         ",\"zero_point\":\"f.zero_point\"");
  ExpectError(QuantRecordFromJson(with_zero_point),
              absl::StatusCode::kInvalidArgument,
              "\"zero_point\" must be absent for this scheme");

  QuantRecord damaged = record;
  damaged.tensors[0].zero_point = "f.scale";
  ExpectError(Validate(damaged, stored), absl::StatusCode::kDataLoss,
              "it has zero points in 'f.scale', but its scheme has none");
  damaged = record;
  damaged.tensors[0].scheme.symmetric = false;
  ExpectError(Validate(damaged, stored), absl::StatusCode::kDataLoss,
              "format fp8_e4m3 is said to be asymmetric");
}

// The description of a weight of bitsandbytes has any length.
TEST(ValidateQuantRecordTest, Bitsandbytes) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kNf4;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 64;
  const auto weight = StoreWeight(QuantStorage::kBitsandbytesNested, "l.weight",
                                  scheme, {2, 128});
  ASSERT_TRUE(weight.ok()) << weight.status();
  QuantRecord record;
  record.version = "0.1.0";
  record.tensors.push_back(RecordOf("l.weight", scheme,
                                    QuantStorage::kBitsandbytesNested, *weight,
                                    DType::kF16, {2, 128}));
  const std::vector<Stored> stored = {
      {"l.weight", DType::kU8, {128, 1}},
      {"l.weight.absmax", DType::kU8, {4}},
      {"l.weight.quant_map", DType::kF32, {16}},
      {"l.weight.quant_state.bitsandbytes__nf4", DType::kU8, {169}},
      {"l.weight.nested_absmax", DType::kF32, {1}},
      {"l.weight.nested_quant_map", DType::kF32, {256}}};
  EXPECT_TRUE(Validate(record, stored).ok()) << Validate(record, stored);
  const std::string json = QuantRecordToJson(record);
  const absl::StatusOr<QuantRecord> read = QuantRecordFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(QuantRecordToJson(*read), json);
  std::vector<Stored> other = stored;
  other[0].shape = {128};
  EXPECT_TRUE(Validate(record, other).ok());
  other[0].shape = {1, 128};
  ExpectError(Validate(record, other), absl::StatusCode::kDataLoss,
              "expected [128, 1]");
  other = stored;
  other[3].shape = {1 << 20};
  ExpectError(Validate(record, other), absl::StatusCode::kDataLoss,
              "quant_state.bitsandbytes__nf4' have shape [1048576], expected");
}

// A constant that may be missing where another program wrote the weight.
TEST(ValidateQuantRecordTest, ConstantsThatMayBeMissing) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kLlmInt8;
  const auto weight =
      StoreWeight(QuantStorage::kBitsandbytes, "l.weight", scheme, {2, 9});
  ASSERT_TRUE(weight.ok()) << weight.status();
  QuantRecord record;
  record.version = "0.1.0";
  record.tensors.push_back(RecordOf("l.weight", scheme,
                                    QuantStorage::kBitsandbytes, *weight,
                                    DType::kF16, {2, 9}));
  std::vector<Stored> stored = {{"l.weight", DType::kI8, {2, 9}},
                                {"l.SCB", DType::kF32, {2}},
                                {"l.weight_format", DType::kU8, {}}};
  for (const char* constants : {R"("constants":["l.weight_format"])", ""}) {
    EXPECT_TRUE(Validate(record, stored).ok()) << Validate(record, stored);
    const std::string json = QuantRecordToJson(record);
    EXPECT_THAT(json, ::testing::HasSubstr(constants));
    const absl::StatusOr<QuantRecord> read = QuantRecordFromJson(json);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(QuantRecordToJson(*read), json);
    // The same without it.
    record.tensors[0].constants.clear();
    if (stored.size() == 3) stored.pop_back();
  }
  record.tensors[0].constants = {"l.weight_format"};
  EXPECT_FALSE(Validate(record, stored).ok());
  record.tensors[0].constants = {"a", "b"};
  ExpectError(Validate(record, stored), absl::StatusCode::kDataLoss,
              "it has 2 constants, expected 1");
  ExpectError(QuantRecordFromJson(QuantRecordToJson(record)),
              absl::StatusCode::kInvalidArgument, "\"constants\" must be");
}

// Codes in words, under another name than the tensor's.
TEST(ValidateQuantRecordTest, CompressedTensors) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kInt4;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 4;
  const auto weight = StoreWeight(QuantStorage::kCompressedTensors, "l.weight",
                                  scheme, {3, 12});
  ASSERT_TRUE(weight.ok()) << weight.status();
  QuantRecord record;
  record.version = "0.1.0";
  record.tensors.push_back(RecordOf("l.weight", scheme,
                                    QuantStorage::kCompressedTensors, *weight,
                                    DType::kF16, {3, 12}));
  const std::vector<Stored> stored = {{"l.weight_packed", DType::kI32, {3, 2}},
                                      {"l.weight_scale", DType::kF32, {3, 3}},
                                      {"l.weight_shape", DType::kI64, {2}}};
  EXPECT_TRUE(Validate(record, stored).ok()) << Validate(record, stored);

  const std::string json = QuantRecordToJson(record);
  EXPECT_THAT(json, ::testing::HasSubstr(
                        R"("storage":"compressed-tensors","codes":)"
                        R"("l.weight_packed","scale":"l.weight_scale",)"
                        R"("constants":["l.weight_shape"]}])"));
  const absl::StatusOr<QuantRecord> read = QuantRecordFromJson(json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(QuantRecordToJson(*read), json);
  EXPECT_TRUE(Validate(*read, stored).ok());
  ExpectError(QuantRecordFromJson(
                  absl::StrReplaceAll(json, {{"\"l.weight\"", "\"l.bias\""}})),
              absl::StatusCode::kInvalidArgument,
              "tensor 'l.bias': compressed-tensors has no place for");

  std::vector<Stored> damaged = stored;
  damaged.push_back({"l.weight", DType::kF32, {3, 12}});
  ExpectError(Validate(record, damaged), absl::StatusCode::kDataLoss,
              "its codes lie in 'l.weight_packed', but there is a tensor of "
              "its name");
  damaged = stored;
  damaged[0].shape = {3, 3};
  ExpectError(Validate(record, damaged), absl::StatusCode::kDataLoss,
              "expected [3, 2]");
  damaged = stored;
  damaged[2].dtype = DType::kI32;
  ExpectError(Validate(record, damaged), absl::StatusCode::kDataLoss,
              "its constants in 'l.weight_shape' are I32, expected I64");
  record.tensors[0].constants = {"l.weight_packed"};
  ExpectError(Validate(record, stored), absl::StatusCode::kDataLoss,
              "its constants in 'l.weight_packed' are I32");
  record.tensors[0].constants = {};
  ExpectError(Validate(record, stored), absl::StatusCode::kDataLoss,
              "it has 0 constants, expected 1");
  for (const char* constants : {"\"l.weight_shape\"", "[]", "[1]"}) {
    ExpectError(QuantRecordFromJson(absl::StrReplaceAll(
                    json, {{"[\"l.weight_shape\"]", constants}})),
                absl::StatusCode::kInvalidArgument, "\"constants\" must be");
  }
}

// A scale above the scales.
TEST(ValidateQuantRecordTest, GlobalScale) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp4E2M1;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 4;
  scheme.scale_dtype = DType::kF8E4M3;
  const StoredWeight weight =
      StoreWeight(QuantStorage::kPlain, "w", scheme, {3, 8}).value();
  QuantRecord record;
  record.version = "0.1.0";
  record.tensors.push_back(
      RecordOf("w", scheme, QuantStorage::kPlain, weight, DType::kF16, {3, 8}));
  EXPECT_THAT(record.tensors[0].part_names(),
              ::testing::ElementsAre("w.scale", "w.global_scale"));
  const std::vector<Stored> stored = {{"w", DType::kU8, {3, 4}},
                                      {"w.scale", DType::kF8E4M3, {3, 2}},
                                      {"w.global_scale", DType::kF32, {}}};
  EXPECT_TRUE(Validate(record, stored).ok()) << Validate(record, stored);

  const std::string json = QuantRecordToJson(record);
  EXPECT_THAT(json,
              ::testing::HasSubstr(
                  R"("scale":"w.scale","global_scale":"w.global_scale"}])"));
  EXPECT_EQ(QuantRecordToJson(QuantRecordFromJson(json).value()), json);
  ExpectError(QuantRecordFromJson(absl::StrReplaceAll(
                  json, {{",\"global_scale\":\"w.global_scale\"", ""}})),
              absl::StatusCode::kInvalidArgument,
              "\"global_scale\" must be a string, it is missing");
  ExpectError(QuantRecordFromJson(absl::StrReplaceAll(
                  json, {{",\"scale_dtype\":\"F8_E4M3\"", ""}})),
              absl::StatusCode::kInvalidArgument,
              "\"global_scale\" must be absent for this scheme");

  std::vector<Stored> damaged = stored;
  damaged[2].dtype = DType::kF16;
  ExpectError(Validate(record, damaged), absl::StatusCode::kDataLoss,
              "its global scales in 'w.global_scale' are F16, expected F32");
  record.tensors[0].global_scale = "w.scale";
  ExpectError(Validate(record, stored), absl::StatusCode::kDataLoss,
              "'w.scale'");
}

// Guards decoding: whatever does not fit is found before a code is read.
TEST(ValidateQuantRecordTest, Refuses) {
  const struct {
    std::function<void(QuantRecord&, std::vector<Stored>&)> damage;
    const char* message;
  } cases[] = {
      {[](auto&, auto& s) { s[0].name = "x"; }, "'a': the file has no tensor"},
      {[](auto&, auto& s) { s[1].name = "x"; }, "should hold its scales"},
      {[](auto&, auto& s) { s[5].name = "x"; }, "should hold its zero points"},
      {[](auto&, auto& s) { s[0].dtype = DType::kU8; },
       "its codes in 'a' are U8, expected I8"},
      {[](auto&, auto& s) { s[1].dtype = DType::kF16; },
       "are F16, expected F32"},
      {[](auto&, auto& s) { s[2].dtype = DType::kI32; },
       "are I32, expected I8"},
      {[](auto&, auto& s) { s[6].dtype = DType::kF16; }, "expected BF16"},
      {[](auto&, auto& s) { s[0].shape = {6, 4}; },
       "have shape [6, 4], expected [4, 6]"},
      {[](auto&, auto& s) { s[3].shape = {3, 8}; }, "expected [3, 4]"},
      {[](auto&, auto& s) { s[1].shape = {}; }, "expected [4]"},
      {[](auto&, auto& s) { s[5].shape = {6}; }, "expected [3, 2]"},
      {[](auto& r, auto&) { r.tensors[0].dtype = DType::kI64; },
       "said to be I64"},
      {[](auto& r, auto&) { r.tensors[0].scheme.axis = 2; }, "axis 2"},
      {[](auto& r, auto&) { r.tensors[1].scheme.group_size = 3; },
       "does not divide"},
      {[](auto& r, auto&) { r.tensors[1].shape = {3, -8}; }, "negative"},
      {[](auto& r, auto&) { r.tensors[2].scale = "other"; },
       "it has scales in 'other', but its scheme has none"},
      {[](auto& r, auto&) { r.tensors.push_back(r.tensors[0]); },
       "'a': it is listed twice"},
      {[](auto& r, auto& s) {
         // 'b' as the zero points of 'a'.
         r.tensors[0].scheme.format = NumberFormat::kUInt8;
         s[0].dtype = DType::kU8;
         s[3].shape = {};
         r.tensors[1].shape = {};
         r.tensors[1].scheme = r.tensors[0].scheme;
         r.tensors[1].scheme.granularity = Granularity::kTensor;
         s[4].shape = {};
         s[5].shape = {};
         s[5].dtype = DType::kU8;
         r.tensors[0].zero_point = "b";
       },
       "'a': its parameters lie in 'b', which holds codes"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    QuantRecord record = MakeRecord();
    std::vector<Stored> stored = MakeStored();
    c.damage(record, stored);
    ExpectError(Validate(record, stored), absl::StatusCode::kDataLoss,
                c.message);
  }
}

TEST(QuantRecordTest, RecordsOfShardsAreOne) {
  QuantRecord first;
  first.version = "1.2.3";
  first.source_container = "torch";
  first.source_name = "m.pt";
  first.recipe = "{}";
  first.tensors.resize(1);
  first.tensors[0].name = "a";
  QuantRecord second = first;
  second.tensors[0].name = "b";

  QuantRecord merged;
  ASSERT_TRUE(MergeQuantRecord(first, &merged).ok());
  ASSERT_TRUE(MergeQuantRecord(second, &merged).ok());
  EXPECT_EQ(merged.version, "1.2.3");
  EXPECT_EQ(merged.recipe, "{}");
  ASSERT_EQ(merged.tensors.size(), 2u);
  EXPECT_EQ(merged.tensors[0].name, "a");
  EXPECT_EQ(merged.tensors[1].name, "b");

  const struct {
    std::string QuantRecord::* member;
    const char* name;
  } kCases[] = {{&QuantRecord::version, "version"},
                {&QuantRecord::source_container, "source"},
                {&QuantRecord::source_name, "source"},
                {&QuantRecord::recipe, "recipe"}};
  for (const auto& test : kCases) {
    QuantRecord other = second;
    other.*test.member += "x";
    const absl::Status status = MergeQuantRecord(other, &merged);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(status.message().find(test.name), std::string::npos) << status;
  }
  EXPECT_EQ(merged.tensors.size(), 2u);
}

}  // namespace
}  // namespace monoquant
