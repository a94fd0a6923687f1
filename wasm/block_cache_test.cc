// Guards: cached bytes are the host's bytes, small reads cost few calls, and
// the memory is bounded.

#include "wasm/block_cache.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

constexpr uint64_t kBlock = BlockCache::kBlockSize;
constexpr uint64_t kSize = 40 * kBlock + 17;

uint8_t ByteAt(uint32_t source, uint64_t offset) {
  return static_cast<uint8_t>(source * 31 + offset + (offset >> 9));
}

class BlockCacheTest : public ::testing::Test {
 protected:
  absl::Status Fetch(uint32_t source, uint64_t offset,
                     absl::Span<uint8_t> dst) {
    ++fetches_;
    EXPECT_LE(offset + dst.size(), kSize) << "beyond the end of the source";
    for (size_t i = 0; i < dst.size(); ++i) {
      dst[i] = ByteAt(source, offset + i);
    }
    return result_;
  }

  void ExpectRead(uint32_t source, uint64_t offset, uint64_t size) {
    std::vector<uint8_t> bytes(size);
    ASSERT_TRUE(cache_.Read(source, kSize, offset, absl::MakeSpan(bytes)).ok());
    for (uint64_t i = 0; i < size; ++i) {
      ASSERT_EQ(bytes[i], ByteAt(source, offset + i))
          << source << " " << offset << "+" << i;
    }
  }

  BlockCache cache_{
      [this](uint32_t source, uint64_t offset, absl::Span<uint8_t> dst) {
        return Fetch(source, offset, dst);
      }};
  absl::Status result_;
  int fetches_ = 0;
};

TEST_F(BlockCacheTest, EveryWindowIsRight) {
  for (uint64_t offset : {uint64_t{0}, kBlock - 1, kBlock, 3 * kBlock + 5,
                          kSize - 17, kSize - 1, kSize}) {
    for (uint64_t size : {uint64_t{0}, uint64_t{1}, uint64_t{30}, kBlock - 1,
                          kBlock, 2 * kBlock + 1, kSize}) {
      if (size > kSize - offset) continue;
      ExpectRead(0, offset, size);
      ExpectRead(7, offset, size);
    }
  }
}

TEST_F(BlockCacheTest, SmallReadsOfAPlaceCostOneFetch) {
  for (uint64_t offset = 0; offset < kBlock; offset += 64) {
    ExpectRead(0, offset, 30);
  }
  EXPECT_EQ(fetches_, 1);
  ExpectRead(1, 0, 30);
  EXPECT_EQ(fetches_, 2) << "another source is another block";
}

TEST_F(BlockCacheTest, LargeReadsGoToTheHostAtOnce) {
  ExpectRead(0, 1, 3 * kBlock);
  EXPECT_EQ(fetches_, 1);
  ExpectRead(0, 1, 3 * kBlock);
  EXPECT_EQ(fetches_, 2) << "not kept";
}

TEST_F(BlockCacheTest, TheBlockThatWasUnusedForLongestGoes) {
  for (uint64_t i = 0; i < BlockCache::kMaxBlocks; ++i) {
    ExpectRead(0, i * kBlock, 1);
  }
  ExpectRead(0, 0, 1);  // used again
  EXPECT_EQ(fetches_, 16);
  ExpectRead(0, 20 * kBlock, 1);  // takes the place of block 1
  ExpectRead(0, 0, 1);
  EXPECT_EQ(fetches_, 17);
  ExpectRead(0, kBlock, 1);
  EXPECT_EQ(fetches_, 18);
}

TEST_F(BlockCacheTest, AFailedFetchIsNotKept) {
  result_ = absl::UnavailableError("gone");
  uint8_t byte;
  EXPECT_EQ(cache_.Read(0, kSize, 0, absl::MakeSpan(&byte, 1)), result_);
  result_ = absl::OkStatus();
  ExpectRead(0, 0, 1);
}

}  // namespace
}  // namespace monoquant
