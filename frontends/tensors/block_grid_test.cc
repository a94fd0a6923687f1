// Guards: every element lies in the right block, in runs that are as long as
// they can be.

#include "frontends/tensors/block_grid.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// The block of every element, by its coordinates.
std::vector<uint64_t> BlocksByHand(const Shape& shape, const Shape& block) {
  uint64_t elements = 1;
  for (int64_t size : shape) elements *= static_cast<uint64_t>(size);
  std::vector<uint64_t> blocks;
  for (uint64_t element = 0; element < elements; ++element) {
    uint64_t rest = element;
    uint64_t stride = 1;
    uint64_t number = 0;
    for (size_t i = shape.size(); i-- > 0;) {
      const auto size = static_cast<uint64_t>(shape[i]);
      const auto edge = static_cast<uint64_t>(block[i]);
      number += rest % size / edge * stride;
      stride *= (size + edge - 1) / edge;
      rest /= size;
    }
    blocks.push_back(number);
  }
  return blocks;
}

void Check(const BlockGrid& grid, const std::vector<uint64_t>& blocks) {
  for (uint64_t element = 0; element < blocks.size(); ++element) {
    const BlockGrid::Run run = grid.At(element);
    ASSERT_EQ(run.block, blocks[element]) << element;
    ASSERT_GE(run.length, 1);
    ASSERT_LE(element + run.length, blocks.size());
    for (uint64_t i = 0; i < run.length; ++i) {
      ASSERT_EQ(blocks[element + i], run.block) << element << "+" << i;
    }
  }
}

TEST(BlockGridTest, TilesOfAnySize) {
  struct Case {
    Shape shape;
    Shape block;
    uint64_t blocks;
  };
  const Case kCases[] = {
      {{5, 7}, {2, 3}, 9},
      {{5, 7}, {1, 7}, 5},
      {{5, 7}, {5, 1}, 7},
      {{5, 7}, {1, 1}, 35},
      {{5, 7}, {5, 7}, 1},
      {{5, 7}, {9, 99}, 1},
      {{3, 5, 7}, {1, 2, 4}, 18},
      {{3, 5, 7}, {3, 1, 7}, 5},
      {{3, 1, 7}, {3, 1, 2}, 4},
      {{2, 3, 2, 5}, {1, 3, 1, 5}, 4},
      {{6}, {4}, 2},
      {{1, 1}, {1, 1}, 1},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(ShapeToString(c.shape) + ShapeToString(c.block));
    const BlockGrid grid(c.shape, c.block);
    EXPECT_EQ(grid.blocks(), c.blocks);
    Check(grid, BlocksByHand(c.shape, c.block));
  }
}

TEST(BlockGridTest, Axes) {
  const Shape shape = {3, 4, 5};
  for (size_t axis = 0; axis < 3; ++axis) {
    Shape block = shape;
    block[axis] = 1;
    const BlockGrid grid = BlockGrid::ForAxis(shape, axis);
    EXPECT_EQ(grid.blocks(), static_cast<uint64_t>(shape[axis]));
    Check(grid, BlocksByHand(shape, block));
  }
  // One run a row, not one a dimension.
  EXPECT_EQ(BlockGrid::ForAxis(shape, 0).At(0).length, 20);
}

TEST(BlockGridTest, WholeAndEmptyTensors) {
  EXPECT_EQ(BlockGrid(60).blocks(), 1);
  EXPECT_EQ(BlockGrid(60).At(13).block, 0);
  EXPECT_EQ(BlockGrid(60).At(13).length, 47);
  EXPECT_EQ(BlockGrid({}, {}).At(0).length, 1);
  EXPECT_EQ(BlockGrid({4, 0}, {2, 1}).blocks(), 0);
}

}  // namespace
}  // namespace monoquant
