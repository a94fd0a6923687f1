// Guards: that chunks are accepted exactly if they cover a tensor, each element
// once, against counting; and that every range of a tensor comes out of its
// chunks as it went in, in few reads.

#include "frontends/dcp/chunked_tensor.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/dcp/box_cover.h"
#include "frontends/dcp/box_list.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

struct OwnBox {
  Shape offset;
  Shape size;
};

BoxList List(size_t rank, const std::vector<OwnBox>& boxes) {
  BoxList list(rank);
  for (const OwnBox& box : boxes) list.Add(box.offset, box.size);
  return list;
}

// Calls visit(index in the tensor, index in the box) for all elements of a box,
// in the box's order.
template <typename Visit>
void ForEachElement(const Shape& shape, const Box& box, Visit visit) {
  if (box.IsEmpty()) return;
  Shape index(shape.size(), 0);
  for (size_t in_box = 0;; ++in_box) {
    size_t in_tensor = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      in_tensor = in_tensor * static_cast<size_t>(shape[i]) +
                  static_cast<size_t>(box.offset[i] + index[i]);
    }
    visit(in_tensor, in_box);
    size_t i = shape.size();
    while (i > 0 && ++index[i - 1] == box.size[i - 1]) index[--i] = 0;
    if (i == 0) return;
  }
}

size_t Elements(absl::Span<const int64_t> shape) {
  return static_cast<size_t>(*NumElements(shape));
}

// The slow way: every element is counted.
bool CoversByCounting(const Shape& shape, const BoxList& boxes) {
  std::vector<int> count(Elements(shape), 0);
  for (size_t i = 0; i < boxes.size(); ++i) {
    ForEachElement(shape, boxes[i], [&](size_t at, size_t) { ++count[at]; });
  }
  for (int n : count) {
    if (n != 1) return false;
  }
  return true;
}

int64_t Random(std::mt19937* random, int64_t first, int64_t last) {
  return first + static_cast<int64_t>((*random)() %
                                      static_cast<uint64_t>(last - first + 1));
}

// Cuts a box in two again and again, at random places.
std::vector<OwnBox> RandomCuts(const Shape& shape, int cuts,
                               std::mt19937* random, int64_t unit = 1) {
  std::vector<OwnBox> boxes = {{Shape(shape.size(), 0), shape}};
  for (int i = 0; i < cuts; ++i) {
    const auto which = static_cast<size_t>(
        Random(random, 0, static_cast<int64_t>(boxes.size()) - 1));
    const auto dim = static_cast<size_t>(
        Random(random, 0, static_cast<int64_t>(shape.size()) - 1));
    const int64_t step = dim + 1 == shape.size() ? unit : 1;
    OwnBox& box = boxes[which];
    // At 0 it leaves an empty box, as a process without a share writes it.
    const int64_t at = step * Random(random, 0, box.size[dim] / step);
    OwnBox rest = box;
    rest.offset[dim] += at;
    rest.size[dim] -= at;
    box.size[dim] = at;
    boxes.push_back(std::move(rest));
  }
  return boxes;
}

TEST(CheckCoverTest, EqualsCountingForAnyBoxes) {
  std::mt19937 random(1);
  int covered = 0;
  for (int round = 0; round < 20'000; ++round) {
    const auto rank = static_cast<size_t>(Random(&random, 1, 3));
    Shape shape;
    for (size_t i = 0; i < rank; ++i) {
      shape.push_back(Random(&random, 1, 4));
    }
    std::vector<OwnBox> boxes =
        RandomCuts(shape, static_cast<int>(Random(&random, 0, 6)), &random);
    // Something is wrong with most of them.
    for (int64_t i = Random(&random, 0, 2); i > 0; --i) {
      OwnBox& box = boxes[static_cast<size_t>(
          Random(&random, 0, static_cast<int64_t>(boxes.size()) - 1))];
      for (size_t dim = 0; dim < rank; ++dim) {
        box.offset[dim] = Random(&random, 0, shape[dim]);
        if (round % 2 == 0) continue;
        box.size[dim] = Random(&random, 0, shape[dim] - box.offset[dim]);
      }
      for (size_t dim = 0; dim < rank; ++dim) {
        box.offset[dim] = std::min(box.offset[dim], shape[dim] - box.size[dim]);
      }
    }
    const BoxList list = List(rank, boxes);
    const bool expected = CoversByCounting(shape, list);
    ASSERT_EQ(CheckCover(shape, list).ok(), expected) << "round " << round;
    covered += expected;
  }
  EXPECT_GT(covered, 2000);
  EXPECT_LT(covered, 18'000);
}

TEST(CheckCoverTest, BoxesThatNoCutSeparates) {
  // Four boxes around a fifth.
  const std::vector<OwnBox> pinwheel = {{{0, 0}, {1, 2}},
                                        {{0, 2}, {2, 1}},
                                        {{1, 0}, {2, 1}},
                                        {{2, 1}, {1, 2}},
                                        {{1, 1}, {1, 1}}};
  EXPECT_TRUE(CheckCover({3, 3}, List(2, pinwheel)).ok());
  for (size_t i = 0; i < pinwheel.size(); ++i) {
    std::vector<OwnBox> moved = pinwheel;
    moved[i].offset = {1, 1};
    if (moved[i].offset == pinwheel[i].offset) continue;
    ExpectError(CheckCover({3, 3}, List(2, moved)), kDataLoss, "");
  }
}

TEST(CheckCoverTest, SaysWhatIsWrong) {
  struct Case {
    std::vector<OwnBox> boxes;
    const char* message;
  };
  const std::vector<Case> cases = {
      {{}, "its 0 chunks leave holes: they have 0 of the 6 elements of [2, 3]"},
      {{{{0, 0}, {2, 2}}}, "its 1 chunks leave holes: they have 4 of the 6"},
      {{{{0, 0}, {2, 2}}, {{0, 1}, {2, 2}}}, "its chunks overlap: together"},
      {{{{0, 0}, {2, 1}}, {{0, 1}, {2, 1}}, {{0, 1}, {2, 1}}},
       "its chunks overlap in one place of [2, 3] and leave holes in another"},
      {{{{0, 1}, {2, 1}}, {{0, 1}, {2, 1}}, {{0, 1}, {2, 1}}},
       "its chunks overlap in one place of [2, 3] and leave holes in another"},
      {{{{0, 0}, {2, 4}}}, "its chunk [2, 4] at [0, 0] reaches beyond [2, 3]"},
      {{{{0, 1}, {2, 3}}}, "its chunk [2, 3] at [0, 1] reaches beyond"},
      {{{{-1, 0}, {2, 3}}}, "its chunk [2, 3] at [-1, 0] reaches beyond"},
      {{{{0, 0}, {2, -3}}}, "its chunk [2, -3] at [0, 0] reaches beyond"},
      {{{{0, 3}, {2, INT64_MAX}}}, "reaches beyond"},
      {{{{INT64_MAX, 0}, {2, 3}}}, "reaches beyond"},
  };
  for (const Case& test : cases) {
    ExpectError(CheckCover({2, 3}, List(2, test.boxes)), kDataLoss,
                test.message);
  }
}

TEST(CheckCoverTest, ScalarsAndEmptyTensors) {
  EXPECT_TRUE(CheckCover({}, List(0, {{{}, {}}})).ok());
  ExpectError(CheckCover({}, List(0, {})), kDataLoss, "leave holes");
  ExpectError(CheckCover({}, List(0, {{{}, {}}, {{}, {}}})), kDataLoss,
              "overlap");
  EXPECT_TRUE(CheckCover({0, 3}, List(2, {})).ok());
  EXPECT_TRUE(CheckCover({0, 3}, List(2, {{{0, 0}, {0, 3}}})).ok());
  ExpectError(CheckCover({0, 3}, List(2, {{{0, 0}, {1, 3}}})), kDataLoss,
              "reaches beyond");
}

TEST(CheckCoverTest, ManyChunks) {
  // 300 times 300 chunks, of which one is in a wrong place at last.
  BoxList grid(2);
  for (int64_t row = 0; row < 300; ++row) {
    for (int64_t column = 0; column < 300; ++column) {
      grid.Add({7 * row, 5 * column}, {7, 5});
    }
  }
  EXPECT_TRUE(CheckCover({2100, 1500}, grid).ok());
  BoxList twice(2);
  for (size_t i = 0; i < grid.size(); ++i) {
    twice.Add(grid[i == 40'000 ? 40'001 : i].offset, grid[i].size);
  }
  ExpectError(CheckCover({2100, 1500}, twice), kDataLoss, "overlap in one");
}

TEST(CheckCoverTest, LimitOfCorners) {
  // Every cut is along another dimension.
  const size_t rank = 20;
  BoxList boxes(rank);
  Shape offset(rank, 0);
  Shape size(rank, 2);
  for (size_t i = 0; i < rank; ++i) {
    size[i] = 1;
    boxes.Add(offset, size);
    offset[i] = 1;
  }
  boxes.Add(offset, size);
  ExpectError(CheckCover(Shape(rank, 2), boxes), kUnimplemented,
              "21 chunks along 17 dimensions or more, which exceeds the limit "
              "of 2097152 corners");
}

// The chunks of a tensor with the bytes `all`.
struct Chunks {
  ChunkedTensor tensor;
  std::vector<std::string> bytes;

  absl::Status Read(uint64_t first, absl::Span<uint8_t> dst,
                    size_t* reads = nullptr) const {
    return tensor.Read(
        first, dst,
        [&](size_t chunk, uint64_t offset, absl::Span<uint8_t> part) {
          if (reads != nullptr) ++*reads;
          EXPECT_LE(offset + part.size(), bytes[chunk].size());
          bytes[chunk].copy(reinterpret_cast<char*>(part.data()), part.size(),
                            static_cast<size_t>(offset));
          return absl::OkStatus();
        });
  }
};

// Cuts a tensor of `item` bytes an element.
Chunks Cut(DType dtype, const Shape& shape, const std::vector<OwnBox>& boxes,
           const std::string& all, size_t item) {
  const BoxList list = List(shape.size(), boxes);
  auto tensor = ChunkedTensor::Create(dtype, shape, list);
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  Chunks chunks{*std::move(tensor), {}};
  for (size_t i = 0; i < list.size(); ++i) {
    chunks.bytes.emplace_back();
    ForEachElement(shape, list[i], [&](size_t at, size_t) {
      chunks.bytes.back() += all.substr(at * item, item);
    });
  }
  return chunks;
}

std::string Counting(size_t size) {
  std::string bytes;
  for (size_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<char>(i * 31 + i / 256));
  }
  return bytes;
}

TEST(ChunkedTensorTest, EveryRangeOfAnyTensor) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const auto rank = static_cast<size_t>(Random(&random, 1, 4));
    Shape shape;
    for (size_t i = 0; i < rank; ++i) {
      shape.push_back(Random(&random, 1, 4));
    }
    const std::string all = Counting(Elements(shape) * 2);
    const Chunks chunks =
        Cut(DType::kI16, shape,
            RandomCuts(shape, static_cast<int>(Random(&random, 0, 8)), &random),
            all, 2);
    for (size_t first = 0; first < all.size(); first += 2) {
      for (size_t size = 0; size <= all.size() - first; size += 2) {
        std::vector<uint8_t> read(size, 0xAA);
        ASSERT_TRUE(chunks.Read(first, absl::MakeSpan(read)).ok());
        ASSERT_EQ(std::string(read.begin(), read.end()),
                  all.substr(first, size));
      }
    }
  }
}

TEST(ChunkedTensorTest, TypesBelowEightBits) {
  // Two elements a byte; the box below has them as single bytes.
  const Shape bytes = {3, 4};
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<OwnBox> boxes = RandomCuts(bytes, 4, &random);
    const std::string all = Counting(12);
    const Chunks by_byte = Cut(DType::kU8, bytes, boxes, all, 1);
    for (OwnBox& box : boxes) {
      box.offset[1] *= 2;
      box.size[1] *= 2;
    }
    auto tensor = ChunkedTensor::Create(DType::kF4, {3, 8}, List(2, boxes));
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    const Chunks chunks{*std::move(tensor), by_byte.bytes};
    std::vector<uint8_t> read(7);
    ASSERT_TRUE(chunks.Read(3, absl::MakeSpan(read)).ok());
    EXPECT_EQ(std::string(read.begin(), read.end()), all.substr(3, 7));
  }
  const std::vector<OwnBox> odd = {{{0}, {3}}, {{3}, {5}}};
  ExpectError(ChunkedTensor::Create(DType::kF4, {8}, List(1, odd)),
              kUnimplemented,
              "its chunk [3] at [0] of F4 begins or ends inside of a byte");
  // A chunk by itself may have any size that the whole tensor may have.
  EXPECT_TRUE(
      ChunkedTensor::Create(DType::kF6E2M3, {2, 2}, List(2, {{{0, 0}, {2, 2}}}))
          .ok());
}

TEST(ChunkedTensorTest, ReadsLongRunsAtOnce) {
  // Rows are divided among 4 chunks, columns among 2.
  const Shape shape = {64, 4096};
  const std::string all = Counting(Elements(shape));
  std::vector<uint8_t> read(all.size());
  std::vector<OwnBox> rows;
  for (int64_t i = 0; i < 4; ++i) rows.push_back({{16 * i, 0}, {16, 4096}});
  size_t reads = 0;
  ASSERT_TRUE(Cut(DType::kU8, shape, rows, all, 1)
                  .Read(0, absl::MakeSpan(read), &reads)
                  .ok());
  EXPECT_EQ(reads, 4u);
  const std::vector<OwnBox> columns = {{{0, 0}, {64, 1000}},
                                       {{0, 1000}, {64, 3096}}};
  const Chunks chunks = Cut(DType::kU8, shape, columns, all, 1);
  reads = 0;
  ASSERT_TRUE(chunks.Read(0, absl::MakeSpan(read), &reads).ok());
  EXPECT_EQ(reads, 2u);
  EXPECT_EQ(std::string(read.begin(), read.end()), all);
  // Within a row, only the chunks that have a part of it.
  reads = 0;
  ASSERT_TRUE(
      chunks.Read(4096 + 1000, absl::MakeSpan(read).first(100), &reads).ok());
  EXPECT_EQ(reads, 1u);
}

TEST(ChunkedTensorTest, KnowsItsOnlyChunk) {
  const auto one = ChunkedTensor::Create(
      DType::kF32, {2, 3}, List(2, {{{2, 0}, {0, 3}}, {{0, 0}, {2, 3}}}));
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->OnlyChunk(), 1u);
  const auto two = ChunkedTensor::Create(
      DType::kF32, {2, 3}, List(2, {{{1, 0}, {1, 3}}, {{0, 0}, {1, 3}}}));
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(two->OnlyChunk(), std::nullopt);
  EXPECT_THAT(two->chunks(), ::testing::ElementsAre(1, 0));
  const auto none = ChunkedTensor::Create(DType::kF32, {0}, List(1, {}));
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->OnlyChunk(), std::nullopt);
}

TEST(ChunkedTensorTest, ErrorsOfChunksArePassedOn) {
  const auto tensor =
      ChunkedTensor::Create(DType::kU8, {4}, List(1, {{{0}, {2}}, {{2}, {2}}}));
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  std::vector<uint8_t> read(4);
  ExpectError(tensor->Read(0, absl::MakeSpan(read),
                           [](size_t, uint64_t, absl::Span<uint8_t>) {
                             return absl::DataLossError("broken");
                           }),
              kDataLoss, "broken");
}

}  // namespace
}  // namespace monoquant
