// Guards: that no more files and archives are kept than was said, the ones used
// last; and that a file which changes in between is noticed.

#include "frontends/dcp/file_pool.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/dcp/lru_cache.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

// Counts how often values are made.
struct Maker {
  int made = 0;

  absl::StatusOr<std::shared_ptr<int>> Make() {
    return std::make_shared<int>(++made);
  }
};

TEST(LruCacheTest, KeepsWhatWasUsedLast) {
  LruCache<int> cache(10);
  Maker maker;
  const auto get = [&](size_t key, uint64_t cost) {
    return **cache.Get(key, cost, [&] { return maker.Make(); });
  };
  EXPECT_EQ(get(1, 4), 1);
  EXPECT_EQ(get(2, 6), 2);
  EXPECT_EQ(get(1, 4), 1);
  // Makes room by giving up 2, which was used before 1.
  EXPECT_EQ(get(3, 5), 3);
  EXPECT_EQ(get(1, 4), 1);
  EXPECT_EQ(get(2, 6), 4);
  EXPECT_EQ(get(3, 5), 5);
}

TEST(LruCacheTest, DoesNotKeepErrorsNorWhatIsTooMuch) {
  LruCache<int> cache(10);
  Maker maker;
  EXPECT_EQ(**cache.Get(1, 11, [&] { return maker.Make(); }), 1);
  EXPECT_EQ(**cache.Get(1, 11, [&] { return maker.Make(); }), 2);
  const auto fail = []() -> absl::StatusOr<std::shared_ptr<int>> {
    return absl::DataLossError("no");
  };
  EXPECT_FALSE(cache.Get(2, 1, fail).ok());
  EXPECT_EQ(**cache.Get(2, 1, [&] { return maker.Make(); }), 3);
}

TEST(LruCacheTest, ValuesOutliveTheirPlace) {
  LruCache<int> cache(1);
  Maker maker;
  const auto first = cache.Get(1, 1, [&] { return maker.Make(); });
  ASSERT_TRUE(cache.Get(2, 1, [&] { return maker.Make(); }).ok());
  EXPECT_EQ(**first, 1);
}

TEST(FilePoolTest, OpensFilesAgain) {
  std::vector<std::pair<std::string, std::string>> bytes;
  for (size_t i = 0; i < 2 * FilePool::kMaxOpen; ++i) {
    bytes.emplace_back(absl::StrCat("f", i), absl::StrCat("bytes of ", i));
  }
  CheckpointFiles files = InMemoryFiles("dir", bytes);
  // Counts the files that are open.
  auto open_files = std::make_shared<int>(0);
  class Counted : public MemorySource {
   public:
    Counted(std::string name, std::string text, std::shared_ptr<int> count)
        : MemorySource(std::move(name), std::move(text)),
          count_(std::move(count)) {
      ++*count_;
    }
    ~Counted() override { --*count_; }

   private:
    std::shared_ptr<int> count_;
  };
  files.open = [bytes, open_files](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    for (const auto& [file, text] : bytes) {
      if (file != name) continue;
      return std::make_shared<Counted>(absl::StrCat("dir/", file), text,
                                       open_files);
    }
    return absl::NotFoundError("no such file");
  };
  FilePool pool(files);
  for (size_t i = 0; i < bytes.size(); ++i) {
    ASSERT_EQ(*pool.Add(bytes[i].first), i);
    EXPECT_EQ(pool.size(i), bytes[i].second.size());
    EXPECT_LE(*open_files, static_cast<int>(FilePool::kMaxOpen));
  }
  EXPECT_EQ(*pool.Add("f3"), 3u);
  EXPECT_EQ(pool.path(3), "dir/f3");
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string read(bytes[i].second.size() - 2, '\0');
    ASSERT_TRUE(
        pool.ReadAt(i, 2,
                    absl::MakeSpan(reinterpret_cast<uint8_t*>(read.data()),
                                   read.size()))
            .ok());
    EXPECT_EQ(read, bytes[i].second.substr(2));
    EXPECT_LE(*open_files, static_cast<int>(FilePool::kMaxOpen));
  }
  ExpectError(pool.Add("other"), absl::StatusCode::kNotFound, "no such file");
}

TEST(FilePoolTest, NoticesThatAFileHasChanged) {
  auto text = std::make_shared<std::string>("before");
  CheckpointFiles files;
  files.open = [text](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    return std::make_shared<MemorySource>(std::string(name), *text);
  };
  FilePool pool(files);
  ASSERT_TRUE(pool.Add("a").ok());
  for (size_t i = 0; i < FilePool::kMaxOpen; ++i) {
    ASSERT_TRUE(pool.Add(absl::StrCat("f", i)).ok());
  }
  *text = "after";
  uint8_t byte;
  ExpectError(pool.ReadAt(0, 0, absl::MakeSpan(&byte, 1)),
              absl::StatusCode::kDataLoss,
              "a: changed while it was read: it had 6 bytes and now has 5");
}

TEST(PooledSliceTest, EndsWhereItEnds) {
  auto pool =
      std::make_shared<FilePool>(InMemoryFiles("dir", {{"a", "0123456789"}}));
  ASSERT_TRUE(pool->Add("a").ok());
  const PooledSlice slice(pool, 0, 2, 5);
  EXPECT_EQ(slice.size(), 5u);
  EXPECT_EQ(slice.name(), "dir/a: 5 bytes at 2");
  uint8_t read[3];
  ASSERT_TRUE(slice.ReadAt(2, absl::MakeSpan(read)).ok());
  EXPECT_EQ(std::string(read, read + 3), "456");
  for (const uint64_t offset : {uint64_t{3}, uint64_t{6}, UINT64_MAX}) {
    ExpectError(slice.ReadAt(offset, absl::MakeSpan(read)),
                absl::StatusCode::kOutOfRange, "goes beyond the end");
  }
}

}  // namespace
}  // namespace monoquant
