#include "core/cuts.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

// All small tensors: pieces follow one another without gaps, are not too large,
// and lie where the contract says.
TEST(CutsTest, ExhaustiveSmall) {
  for (uint64_t block = 1; block <= 12; ++block) {
    for (uint64_t blocks = 0; blocks <= 6; ++blocks) {
      for (uint64_t unit = 1; unit <= 5; ++unit) {
        for (uint64_t max = 1; max <= 30; ++max) {
          if (block > max && unit > max) continue;
          const Cuts cuts(block * blocks, block, unit, max);
          uint64_t position = 0;
          uint64_t largest = 0;
          for (uint64_t i = 0; i < cuts.size(); ++i) {
            const ElementRange range = cuts[i];
            ASSERT_EQ(range.begin, position);
            ASSERT_LT(range.begin, range.end);
            ASSERT_LE(range.size(), max);
            largest = std::max(largest, range.size());
            if (block <= max) {
              ASSERT_EQ(range.begin % block, 0u);
              ASSERT_EQ(range.end % block, 0u);
            } else {
              ASSERT_EQ(range.begin / block, (range.end - 1) / block);
              ASSERT_EQ(range.begin % block % unit, 0u);
              ASSERT_TRUE(range.end % block == 0 ||
                          range.end % block % unit == 0);
            }
            position = range.end;
          }
          ASSERT_EQ(position, block * blocks);
          ASSERT_EQ(cuts.largest(), largest);
        }
      }
    }
  }
}

TEST(CutsTest, Empty) {
  EXPECT_EQ(Cuts().size(), 0u);
  EXPECT_EQ(Cuts().largest(), 0u);
}

// Sizes of real and of absurd tensors are plain arithmetic, no lists.
TEST(CutsTest, Large) {
  const uint64_t total = uint64_t{1} << 62;
  const Cuts cuts(total, total, 2, 1000);
  EXPECT_EQ(cuts.size(), (total + 999) / 1000);
  EXPECT_EQ(cuts[cuts.size() - 1].end, total);
}

}  // namespace
}  // namespace monoquant
