// Guards: distributed checkpoints in safetensors files: chunks by the offsets
// in the metadata, what tells them from other directories, and that what does
// not fit together ends in an error that names the tensor.

#include "frontends/dcp/dcp_safetensors_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/read_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "ir/shape.h"
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

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;
using Files = std::vector<std::pair<std::string, std::string>>;

struct Chunk {
  std::string name;
  std::vector<int64_t> offset;
  std::vector<int64_t> size;
  std::string bytes;
  std::string dtype = "U8";
};

// A file with these tensors; `info` replaces the right DCP_SHARDING_INFO.
std::string File(const std::vector<Chunk>& chunks,
                 const std::string* info = nullptr) {
  std::vector<std::string> places;
  std::vector<std::string> entries;
  std::string data;
  for (const Chunk& chunk : chunks) {
    places.push_back(absl::StrCat("\"", chunk.name, "\":{\"saved_offsets\":[",
                                  absl::StrJoin(chunk.offset, ","), "]}"));
    entries.push_back(absl::StrCat(
        ",\"", chunk.name, "\":{\"dtype\":\"", chunk.dtype, "\",\"shape\":[",
        absl::StrJoin(chunk.size, ","), "],\"data_offsets\":[", data.size(),
        ",", data.size() + chunk.bytes.size(), "]}"));
    data += chunk.bytes;
  }
  const std::string sharding =
      info != nullptr ? *info
                      : absl::StrCat("{", absl::StrJoin(places, ","), "}");
  const std::string json =
      absl::StrCat(R"({"__metadata__":{"format":"pt","DCP_VERSION":"1.0",)",
                   "\"DCP_SHARDING_INFO\":", Json(sharding).ToString(), "}",
                   absl::StrJoin(entries, ""), "}");
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(uint64_t{json.size()} >> (8 * i)));
  }
  return bytes + json + data;
}

constexpr char kFirst[] = "shard-00001-model-00001-of-00001.safetensors";
constexpr char kSecond[] = "shard-00002-model-00001-of-00001.safetensors";

// "w" is [[a, b, c], [d, e, f]], its columns divided 2 : 1.
Files Good() {
  return {{kFirst, File({{"w", {0, 0}, {2, 2}, "abde"}, {"b", {0}, {1}, "x"}})},
          {kSecond, File({{"w", {0, 2}, {2, 1}, "cf"}})}};
}

CheckpointFiles Directory(Files files) {
  return InMemoryFiles("dir", std::move(files));
}

Opened Open(Files files) {
  return OpenDcpSafetensors(Directory(std::move(files)), {});
}

TEST(DcpSafetensorsReaderTest, AssemblesChunks) {
  const Files files = Good();
  const Opened reader = Open(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  EXPECT_EQ(index.container, "dcp-safetensors");
  EXPECT_EQ(index.path, "dir");
  EXPECT_THAT(index.notes, IsEmpty());
  EXPECT_THAT(index.metadata, ElementsAre(Pair("format", "pt")));
  ASSERT_EQ(index.tensors.size(), 2u);
  EXPECT_EQ(index.tensors[0].name, "w");
  EXPECT_EQ(index.tensors[0].shape, (Shape{2, 3}));
  EXPECT_EQ(*ReadTensor(**reader, 0), "abcdef");
  EXPECT_EQ(*ReadTensor(**reader, 1), "x");
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  const auto extent = (*reader)->Locate(1);
  ASSERT_TRUE(extent.has_value());
  EXPECT_EQ(extent->file, kFirst);
  EXPECT_EQ(files[0].second.substr(extent->offset, extent->size), "x");
}

TEST(DcpSafetensorsReaderTest, RecognisedByNamesAndMetadata) {
  const auto is_one = [](Files files) {
    return *IsDcpSafetensors(Directory(std::move(files)));
  };
  EXPECT_TRUE(is_one(Good()));
  EXPECT_FALSE(is_one({}));
  Files files = Good();
  files.push_back({"model.safetensors.index.json", "{}"});
  EXPECT_FALSE(is_one(files));
  EXPECT_FALSE(is_one({{kFirst, "no metadata"}}));
  for (const char* name :
       {"model-00001-of-00001.safetensors", "shard-1-model-1-of-1.bin",
        "shard-x-model-00001-of-00001.safetensors",
        "shard-00001-model-00001.safetensors",
        "shard-00001-model-00001-of-00001.safetensors.tmp"}) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(is_one({{name, Good()[0].second}}));
  }
}

TEST(DcpSafetensorsReaderTest, OneFileIsNotACheckpoint) {
  const CheckpointFiles one_of_two =
      InMemoryFiles(absl::StrCat("dir/", kFirst), Good());
  EXPECT_TRUE(*IsDcpSafetensors(one_of_two));
  ExpectError(OpenDcpSafetensors(one_of_two, {}),
              absl::StatusCode::kInvalidArgument, "name its directory");
  const CheckpointFiles only = InMemoryFiles(
      absl::StrCat("dir/", kFirst), {{kFirst, File({{"b", {0}, {1}, "x"}})}});
  const Opened reader = OpenDcpSafetensors(only, {});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*ReadTensor(**reader, 0), "x");
}

TEST(DcpSafetensorsReaderTest, RefusesChunksThatDoNotFit) {
  struct Case {
    Chunk second;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{"w", {0, 1}, {2, 1}, "cf"}, "its chunks overlap"},
      {{"w", {0, 3}, {2, 1}, "cf"}, "its 2 chunks leave holes"},
      {{"w", {1, 2}, {2, 1}, "cf"}, "its 2 chunks leave holes"},
      {{"w", {2}, {2}, "cf"}, "is U8 of 1 dimensions here, but U8 of 2"},
      {{"w", {0, 2}, {2, 1}, "cf", "BOOL"}, "is BOOL of 2 dimensions here"},
      {{"w", {0, 2}, {2}, "cf"}, "its shape is [2], but it belongs at [0, 2]"},
      {{"w", {0, INT64_MAX}, {2, 1}, "cf"}, "overflows"},
      {{"w", {INT64_MAX - 2, 2}, {2, 1}, "cf"}, ""},
  };
  for (const Case& test : cases) {
    Files files = Good();
    files[1].second = File({test.second});
    ExpectError(Open(files), kDataLoss, "tensor 'w': ");
    ExpectError(Open(files), kDataLoss, "dir");
    ExpectError(Open(files), kDataLoss, test.message);
  }
}

TEST(DcpSafetensorsReaderTest, RefusesStrangeMetadata) {
  for (const char* info : {"", "[]", "{", "{\"w\":1}", "{\"w\":{}}",
                           "{\"w\":{\"saved_offsets\":1}}",
                           "{\"w\":{\"saved_offsets\":[0,\"1\"]}}",
                           "{\"w\":{\"saved_offsets\":[0,-1]}}",
                           "{\"w\":{\"saved_offsets\":[0,1.5]}}", "{}",
                           "{\"v\":{\"saved_offsets\":[0,2]}}"}) {
    SCOPED_TRACE(info);
    Files files = Good();
    const std::string text = info;
    files[1].second = File({{"w", {0, 2}, {2, 1}, "cf"}}, &text);
    ExpectError(Open(files), kDataLoss, absl::StrCat("dir/", kSecond, ": "));
    ExpectError(Open(files), kDataLoss, "'DCP_SHARDING_INFO'");
  }
}

TEST(DcpSafetensorsReaderTest, TellsWhichFilesSeemToBeMissing) {
  const Opened reader = Open({{"shard-00001-model-00001-of-00002.safetensors",
                               File({{"a", {0}, {1}, "a"}})},
                              {"shard-00003-model-00001-of-00002.safetensors",
                               File({{"b", {0}, {1}, "b"}})}});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("'shard-2', 'model-2'")));
  Files files = Good();
  files[1].second = "version https://git-lfs.github.com/spec/v1";
  ExpectError(
      Open(files), absl::StatusCode::kUnimplemented,
      absl::StrCat("dir/", kSecond, ": this file is a Git LFS pointer"));
}

TEST(DcpSafetensorsReaderTest, HasNoRoots) {
  OpenOptions options;
  options.root = "model";
  ExpectError(OpenDcpSafetensors(Directory(Good()), options),
              absl::StatusCode::kInvalidArgument, "leave out --root");
}

TEST(DcpSafetensorsReaderTest, CutAndChangedAnywhere) {
  const Files good = Good();
  const auto check = [&](std::string bad, size_t) {
    Files files = good;
    files[1].second = std::move(bad);
    const Opened reader = Open(files);
    if (!reader.ok()) {
      EXPECT_THAT(std::string(reader.status().message()), HasSubstr("dir"));
      return;
    }
    for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
      EXPECT_TRUE(ReadTensor(**reader, i).ok());
    }
  };
  testing::ForEachTruncation(good[1].second, check);
  testing::ForEachChangedByte(good[1].second, check);
}

}  // namespace
}  // namespace monoquant
