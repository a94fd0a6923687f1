// Guards: parameters come from where they lie, few at a time and seldom twice.

#include "frontends/tensors/param_window.h"

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/tensors/block_grid.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

// Parameter i is i.
struct Source {
  int loads = 0;
  uint64_t largest = 0;
  bool fails = false;

  ParamWindow<uint64_t> Window(uint64_t size) {
    return ParamWindow<uint64_t>(
        size, [this](uint64_t first, absl::Span<uint64_t> dst) {
          ++loads;
          largest = dst.size() > largest ? dst.size() : largest;
          for (uint64_t& param : dst) param = first++;
          return fails ? absl::UnavailableError("") : absl::OkStatus();
        });
  }
};

TEST(ParamWindowTest, RowsOfBlocks) {
  Source source;
  auto window = source.Window(100);
  uint64_t elements = 1000;
  for (uint64_t row = 0; row < 100; ++row) {
    for (uint64_t block = 0; block < 10; ++block, --elements) {
      absl::Span<const uint64_t> params;
      ASSERT_TRUE(window.Get(row / 10 * 10 + block, elements, &params).ok());
      ASSERT_EQ(params[0], row / 10 * 10 + block);
    }
  }
  EXPECT_EQ(source.loads, 1);
}

TEST(ParamWindowTest, NeverMoreThanNeeded) {
  Source source;
  auto window = source.Window(1 << 20);
  absl::Span<const uint64_t> params;
  ASSERT_TRUE(window.Get(5, 3, &params).ok());
  EXPECT_EQ(source.largest, 3);
  ASSERT_TRUE(window.Get((1 << 20) - 1, 100, &params).ok());
  EXPECT_EQ(params[0], (1 << 20) - 1);
  EXPECT_EQ(params.size(), 1);
  EXPECT_EQ(source.largest, 3);
  ASSERT_TRUE(window.Get(0, 1 << 20, &params).ok());
  EXPECT_EQ(source.largest, ParamWindow<uint64_t>::kMaxParams);
}

TEST(ParamWindowTest, EveryBlockOfARange) {
  const BlockGrid grid({3, 7}, {2, 3});
  for (uint64_t first = 0; first < 21; ++first) {
    for (uint64_t count = 0; first + count <= 21; ++count) {
      Source source;
      auto window = source.Window(grid.blocks());
      uint64_t next = 0;
      const absl::Status status =
          ForEachBlock(grid, first, count, &window,
                       [&](uint64_t param, uint64_t begin, uint64_t end) {
                         ASSERT_EQ(begin, next);
                         ASSERT_LT(begin, end);
                         for (next = begin; next < end; ++next) {
                           ASSERT_EQ(grid.At(first + next).block, param);
                         }
                       });
      ASSERT_TRUE(status.ok());
      ASSERT_EQ(next, count);
    }
  }
}

TEST(ParamWindowTest, AFailureIsNotKept) {
  Source source;
  auto window = source.Window(10);
  absl::Span<const uint64_t> params;
  source.fails = true;
  EXPECT_FALSE(window.Get(0, 10, &params).ok());
  source.fails = false;
  EXPECT_TRUE(window.Get(0, 10, &params).ok());
  EXPECT_EQ(source.loads, 2);
}

}  // namespace
}  // namespace monoquant
