#include "ir/byte_source.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;
using ::testing::ElementsAre;

std::string Read(const ByteSource& source, uint64_t offset, size_t size) {
  std::vector<uint8_t> bytes(size);
  const absl::Status status = source.ReadAt(offset, absl::MakeSpan(bytes));
  if (!status.ok()) return std::string(status.message());
  return std::string(bytes.begin(), bytes.end());
}

TEST(MemorySourceTest, Ranges) {
  const MemorySource source("m", "0123456789");
  EXPECT_EQ(source.size(), 10u);
  EXPECT_EQ(Read(source, 0, 10), "0123456789");
  EXPECT_EQ(Read(source, 9, 1), "9");
  EXPECT_EQ(Read(source, 10, 0), "");
}

TEST(MemorySourceTest, RefusesWhatIsNotThere) {
  const MemorySource source("m", "0123456789");
  uint8_t buffer[4];
  for (uint64_t offset : {uint64_t{7}, uint64_t{10}, uint64_t{11},
                          std::numeric_limits<uint64_t>::max()}) {
    ExpectError(source.ReadAt(offset, buffer), absl::StatusCode::kOutOfRange,
                "m: reading 4 bytes at offset");
  }
}

TEST(SliceSourceTest, ShowsItsWindowOnly) {
  const auto base = std::make_shared<MemorySource>("m", "0123456789");
  const auto slice = SliceSource(base, 2, 5, "slice").value();
  EXPECT_EQ(slice->name(), "slice");
  EXPECT_EQ(slice->size(), 5u);
  EXPECT_EQ(Read(*slice, 0, 5), "23456");
  EXPECT_EQ(Read(*slice, 4, 1), "6");
  uint8_t two[2];
  ExpectError(slice->ReadAt(4, two), absl::StatusCode::kOutOfRange, "slice");
}

TEST(SliceSourceTest, MustLieInItsBase) {
  const auto base = std::make_shared<MemorySource>("m", "0123456789");
  EXPECT_TRUE(SliceSource(base, 10, 0, "end").ok());
  const uint64_t max = std::numeric_limits<uint64_t>::max();
  for (const auto& [offset, size] : {std::pair<uint64_t, uint64_t>{0, 11},
                                     {11, 0},
                                     {5, 6},
                                     {5, max},
                                     {max, 5}}) {
    ExpectError(SliceSource(base, offset, size, "s"),
                absl::StatusCode::kOutOfRange, "m: ");
  }
}

TEST(ReadAllTest, HasALimit) {
  const MemorySource source("m", "0123");
  EXPECT_EQ(ReadAll(source, 4).value(), "0123");
  EXPECT_EQ(ReadAll(MemorySource("e", ""), 0).value(), "");
  ExpectError(ReadAll(source, 3), absl::StatusCode::kInvalidArgument,
              "m: has 4 bytes, more than the limit of 3");
}

TEST(InMemoryFilesTest, SingleFile) {
  const CheckpointFiles files =
      InMemoryFiles("dir/b.pt", {{"b.pt", "B"}, {"a.json", "A"}});
  EXPECT_EQ(files.path, "dir/b.pt");
  EXPECT_FALSE(files.is_directory);
  EXPECT_EQ(files.main, "b.pt");
  EXPECT_THAT(files.names, ElementsAre("a.json", "b.pt"));
  const auto opened = files.open("b.pt");
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->name(), "dir/b.pt");
  EXPECT_EQ(Read(**opened, 0, 1), "B");
}

TEST(InMemoryFilesTest, Directory) {
  const CheckpointFiles files = InMemoryFiles("dir", {{"b", "B"}, {"a", "A"}});
  EXPECT_TRUE(files.is_directory);
  EXPECT_EQ(files.main, "");
  EXPECT_THAT(files.names, ElementsAre("a", "b"));
  EXPECT_EQ(files.open("a").value()->name(), "dir/a");
}

TEST(InMemoryFilesTest, NothingElseOpens) {
  const CheckpointFiles files = InMemoryFiles("a.pt", {{"a.pt", "A"}});
  for (const char* name : {"", "b.pt", "./a.pt", "../a.pt", "/a.pt"}) {
    ExpectError(files.open(name), absl::StatusCode::kNotFound, "a.pt: ");
  }
}

}  // namespace
}  // namespace monoquant
