// Guards: what the cache remembers, what it forgets, and that failures are not
// kept.

#include "frontends/tensors/tile_cache.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

TEST(TileCacheTest, RemembersTheLastFew) {
  TileCache cache;
  int fills = 0;
  const auto get = [&](size_t tensor, uint64_t tile) {
    const auto bytes = cache.Get(tensor, tile, 2, [&](absl::Span<uint8_t> dst) {
      ++fills;
      dst[0] = static_cast<uint8_t>(tensor);
      dst[1] = static_cast<uint8_t>(tile);
      return absl::OkStatus();
    });
    ASSERT_TRUE(bytes.ok());
    EXPECT_EQ((**bytes)[0], tensor);
    EXPECT_EQ((**bytes)[1], tile);
  };
  for (uint64_t tile = 0; tile < TileCache::kSlots; ++tile) get(7, tile);
  EXPECT_EQ(fills, TileCache::kSlots);
  for (uint64_t tile = 0; tile < TileCache::kSlots; ++tile) get(7, tile);
  EXPECT_EQ(fills, TileCache::kSlots);
  get(8, 0);  // the same number of another tensor
  EXPECT_EQ(fills, TileCache::kSlots + 1);
  get(7, 0);  // was the oldest
  EXPECT_EQ(fills, TileCache::kSlots + 2);
  get(8, 0);
  EXPECT_EQ(fills, TileCache::kSlots + 2);
}

TEST(TileCacheTest, FailuresAreNotKept) {
  TileCache cache;
  bool broken = true;
  const TileCache::Fill fill = [&](absl::Span<uint8_t>) {
    return broken ? absl::UnavailableError("broken") : absl::OkStatus();
  };
  EXPECT_FALSE(cache.Get(0, 0, 1, fill).ok());
  broken = false;
  EXPECT_TRUE(cache.Get(0, 0, 1, fill).ok());
}

}  // namespace
}  // namespace monoquant
