// Guards: safetensors files, from their bytes to the tensors; every rule of the
// header; ties, records and metadata; and that damage ends in an error. Shards
// are tested in frontends/sharded.

#include "frontends/safetensors/safetensors_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/safetensors/safetensors_header.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/read_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

// A file with this header and data.
std::string File(absl::string_view json, absl::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(uint64_t{json.size()} >> (8 * i)));
  }
  return absl::StrCat(bytes, json, data);
}

Opened Open(std::string bytes) {
  return OpenSafetensorsFile(
      InMemoryFiles("m.safetensors", {{"m.safetensors", std::move(bytes)}}),
      {});
}

constexpr absl::string_view kTwo =
    R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
    R"("a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]}}   )";

TEST(SafetensorsReaderTest, ReadsAFile) {
  const std::string bytes = File(kTwo, "abcdef");
  const Opened reader = Open(bytes);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "safetensors");
  EXPECT_EQ(index.path, "m.safetensors");
  EXPECT_THAT(index.notes, IsEmpty());
  // By offset, not by place in the header.
  ASSERT_EQ(index.tensors.size(), 2);
  EXPECT_EQ(index.tensors[0].name, "a");
  EXPECT_EQ(index.tensors[0].dtype, DType::kF16);
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 1}));
  EXPECT_EQ(*ReadTensor(**reader, 0), "abcd");
  EXPECT_EQ(*ReadTensor(**reader, 1), "ef");
  uint8_t two[2];
  ASSERT_TRUE((*reader)->Read(0, 1, 1, absl::MakeSpan(two)).ok());
  EXPECT_EQ(two[0], 'c');
  ExpectError((*reader)->Read(0, 2, 1, absl::MakeSpan(two)),
              absl::StatusCode::kInvalidArgument, "m.safetensors: tensor 'a'");
  const auto extent = (*reader)->Locate(1);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, "m.safetensors");
  EXPECT_EQ(bytes.substr(extent->offset, extent->size), "ef");
  EXPECT_FALSE((*reader)->Locate(2).has_value());
}

TEST(SafetensorsReaderTest, EveryDType) {
  for (const DTypeInfo& row : AllDTypes()) {
    SCOPED_TRACE(row.name);
    // Eight elements are whole bytes of any type.
    const int size = row.bits;
    const Opened reader = Open(
        File(absl::StrCat(R"({"x":{"dtype":")", row.name,
                          R"(","shape":[8],"data_offsets":[0,)", size, "]}}"),
             std::string(static_cast<size_t>(size), 'x')));
    if (row.in_safetensors) {
      ASSERT_TRUE(reader.ok()) << reader.status();
      EXPECT_EQ((*reader)->index().tensors[0].dtype, row.dtype);
      EXPECT_TRUE(ReadTensor(**reader, 0).ok());
    } else {
      ExpectError(reader, kUnimplemented, "is not known");
    }
  }
}

TEST(SafetensorsReaderTest, EmptyTensorsAndFiles) {
  const Opened reader =
      Open(File(R"({"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                R"("e":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]},)"
                R"("f":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}})",
                "abcd"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors[0].name, "e");
  EXPECT_EQ((*reader)->index().tensors[1].name, "x");
  EXPECT_EQ(*ReadTensor(**reader, 0), "");
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  const Opened empty = Open(File("{}", ""));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT((*empty)->index().tensors, IsEmpty());
}

TEST(SafetensorsReaderTest, RefusesMalformedHeaders) {
  const auto entry = [](absl::string_view dtype, absl::string_view shape,
                        absl::string_view offsets) {
    return absl::StrCat(R"({"x":{"dtype":)", dtype, R"(,"shape":)", shape,
                        R"(,"data_offsets":)", offsets, "}}");
  };
  struct Case {
    std::string json;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"{1", "does not begin with { and end with }"},
      {"[]", "does not begin with {"},
      {" {}", "does not begin with {"},
      {"{}\n", "end with }"},
      {"{}{}", "malformed safetensors header"},
      {R"({"x":{"dtype":"U8","dtype":"U8"}})", "malformed safetensors header"},
      {R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
       R"("x":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "tensor 'x': the name occurs twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "occurs twice"},
      {R"({"x":1})", "tensor 'x': its entry is no object"},
      {R"({"x":{}})", "'dtype' is missing"},
      {entry("5", "[4]", "[0,4]"), "'dtype' is missing or no string"},
      {entry("\"U8\"", "4", "[0,4]"), "'shape' is missing or no list"},
      {entry("\"U8\"", "[-4]", "[0,4]"), "something else than sizes"},
      {entry("\"U8\"", "[4.0]", "[0,4]"), "something else than sizes"},
      {entry("\"U8\"", "[18446744073709551615]", "[0,4]"), "than sizes"},
      {entry("\"U8\"", "[4294967296,4294967296]", "[0,4]"), "elements"},
      {entry("\"F64\"", "[4611686018427387904]", "[0,4]"), "bits"},
      {entry("\"F4\"", "[3]", "[0,2]"), "no whole number of bytes"},
      {entry("\"U8\"", "[4]", "[0]"), "missing or no pair"},
      {entry("\"U8\"", "[4]", "[0,4,4]"), "missing or no pair"},
      {entry("\"U8\"", "[4]", "[-1,3]"), "something else than offsets"},
      {entry("\"U8\"", "[4]", "[4,0]"), "needs 4 bytes"},
      {entry("\"U8\"", "[4]", "[0,5]"),
       "U8 [4] needs 4 bytes, but 'data_offsets' is [0, 5]"},
      {entry("\"U8\"", "[3]", "[1,4]"),
       "tensor 'x' begins at byte 1 of the data, but the one before it ends at "
       "byte 0"},
      {R"({"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
       R"("y":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
       "tensor 'y' begins at byte 2"},
      {R"({"__metadata__":[]})", "'__metadata__' is no object"},
      {R"({"__metadata__":{"k":1}})", "metadata 'k' is no string"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.json);
    ExpectError(Open(File(test.json, "abcd")), kDataLoss, test.message);
    ExpectError(Open(File(test.json, "abcd")), kDataLoss, "m.safetensors: ");
  }
  ExpectError(Open(File(entry("\"X9\"", "[4]", "[0,4]"), "abcd")),
              kUnimplemented, "dtype 'X9' is not known");
}

TEST(SafetensorsReaderTest, TheDataMustBeCovered) {
  ExpectError(Open(File(kTwo, "abcde")), kDataLoss,
              "m.safetensors is truncated: its last tensor ends at byte");
  ExpectError(Open(File(kTwo, "abcdefg")), kDataLoss,
              "1 bytes follow its last tensor");
}

TEST(SafetensorsReaderTest, HeaderSizes) {
  ExpectError(Open(std::string("\xff\xff\xff\xff\0\0\0\0{", 9)), kDataLoss,
              "more than the limit of 100000000");
  ExpectError(Open(std::string("\x01\0\0\0\0\0\0\0{", 9)), kDataLoss,
              "it is empty");
  ExpectError(Open(std::string("\x09\0\0\0\0\0\0\0{}", 10)), kDataLoss,
              "m.safetensors is truncated: its header ends at byte 17, but the "
              "file has 10 bytes; download or copy it again");
  ExpectError(Open("1234567"), kDataLoss, "is truncated");
}

TEST(SafetensorsReaderTest, UnknownFieldsAreNoted) {
  const Opened reader =
      Open(File(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],)"
                R"("sparse":true}})",
                "a"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre("unknown fields are ignored in: 'x'"));
}

std::string WithMetadata(absl::string_view metadata) {
  return File(absl::StrCat(R"({"__metadata__":{)", metadata,
                           R"(},"w":{"dtype":"U8","shape":[2],)"
                           R"("data_offsets":[0,2]}})"),
              "ab");
}

TEST(SafetensorsReaderTest, MetadataIsSortedAndCleared) {
  const Opened reader =
      Open(WithMetadata(R"("z":"1","format":"pt","head":"w","also":"w",)"
                        R"("monoquant.ties":"{\"head\":\"w\"}")"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_THAT(
      index.metadata,
      ElementsAre(Pair("also", "w"), Pair("format", "pt"), Pair("z", "1")));
  ASSERT_EQ(index.tensors.size(), 2);
  EXPECT_EQ(index.tensors[1].name, "head");
  EXPECT_EQ(index.tensors[1].tie, 0);
  EXPECT_EQ(*ReadTensor(**reader, 1), "ab");
  EXPECT_EQ((*reader)->Locate(1)->offset, (*reader)->Locate(0)->offset);
}

TEST(SafetensorsReaderTest, TiesMustMakeSense) {
  struct Case {
    const char* ties;
    const char* message;
  };
  for (const Case& test :
       {Case{"[]", "no object"}, Case{"{", "metadata 'monoquant.ties': "},
        Case{"{\\\"h\\\":\\\"x\\\"}", "'h' is tied to"},
        Case{"{\\\"h\\\":1}", "'h' is tied to 1"},
        Case{"{\\\"w\\\":\\\"w\\\"}", "'w' is a tensor of the file itself"}}) {
    ExpectError(Open(WithMetadata(
                    absl::StrCat("\"monoquant.ties\":\"", test.ties, "\""))),
                kDataLoss, test.message);
  }
}

TEST(SafetensorsReaderTest, RecordInMetadata) {
  ExpectError(Open(WithMetadata(R"("monoquant":"{}")")), kDataLoss,
              "m.safetensors: metadata 'monoquant': ");
  QuantRecord record;
  record.version = "1.2.3";
  const std::string text =
      Json(QuantRecordToJson(record)).ToString();  // as a JSON string
  const Opened reader =
      Open(WithMetadata(absl::StrCat("\"monoquant\":", text)));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().quant.version, "1.2.3");
  EXPECT_THAT((*reader)->index().metadata, IsEmpty());

  // It can be left unread, right or wrong.
  OpenOptions options;
  options.without_record = true;
  for (const std::string& bytes :
       {WithMetadata(absl::StrCat("\"monoquant\":", text)),
        WithMetadata(R"("monoquant":"{}")")}) {
    const Opened without = OpenSafetensorsFile(
        InMemoryFiles("m.safetensors", {{"m.safetensors", bytes}}), options);
    ASSERT_TRUE(without.ok()) << without.status();
    EXPECT_TRUE((*without)->index().quant.empty());
    EXPECT_THAT((*without)->index().metadata, IsEmpty());
  }
}

TEST(SafetensorsReaderTest, HasNoRoots) {
  OpenOptions options;
  options.root = "model";
  ExpectError(OpenSafetensorsFile(
                  InMemoryFiles("m", {{"m", File(kTwo, "abcdef")}}), options),
              absl::StatusCode::kInvalidArgument, "leave out --root");
}

TEST(SafetensorsReaderTest, TruncatedAnywhere) {
  testing::ForEachTruncation(File(kTwo, "abcdef"), [](std::string bad, size_t) {
    ExpectError(Open(std::move(bad)), kDataLoss, "is truncated");
  });
}

TEST(SafetensorsReaderTest, OneByteChangedAnywhere) {
  const std::string good =
      WithMetadata(R"("head":"w","monoquant.ties":"{\"head\":\"w\"}")");
  ASSERT_TRUE(Open(good).ok());
  testing::ForEachChangedByte(good, [](const std::string& bad, size_t) {
    const Opened reader = Open(bad);
    if (!reader.ok()) {
      EXPECT_THAT(std::string(reader.status().message()),
                  HasSubstr("m.safetensors"));
      return;
    }
    for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
      EXPECT_TRUE(ReadTensor(**reader, i).ok());
    }
  });
}

}  // namespace
}  // namespace monoquant
