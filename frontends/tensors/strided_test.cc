// Guards: that strided reading gives the elements of the definition for every
// small shape, stride and range, and for large ones that take every path; that
// it reads in large pieces; and that views outside of their storage are
// refused.

#include "frontends/tensors/strided.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// A storage whose bytes are all different from their neighbours.
std::vector<uint8_t> MakeStorage(size_t size) {
  std::vector<uint8_t> storage(size);
  uint32_t state = 1;
  for (uint8_t& byte : storage) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(state >> 24);
  }
  return storage;
}

// All elements by the definition of strides.
std::vector<uint8_t> Naive(const std::vector<uint8_t>& storage, size_t item,
                           size_t offset, const Shape& size,
                           const std::vector<int64_t>& stride) {
  std::vector<uint8_t> out;
  const size_t count = static_cast<size_t>(*NumElements(size));
  for (size_t i = 0; i < count; ++i) {
    size_t rest = i;
    size_t place = offset;
    for (size_t d = size.size(); d-- > 0;) {
      const auto extent = static_cast<size_t>(size[d]);
      place += rest % extent * static_cast<size_t>(stride[d]);
      rest /= extent;
    }
    for (size_t b = 0; b < item; ++b) out.push_back(storage[place * item + b]);
  }
  return out;
}

// Reads from `storage` and notes how.
struct Reads {
  const std::vector<uint8_t>& storage;
  size_t calls = 0;
  size_t bytes = 0;
  size_t largest = 0;

  StorageReader Reader() {
    return [this](uint64_t offset, absl::Span<uint8_t> dst) {
      if (offset > storage.size() || dst.size() > storage.size() - offset) {
        return absl::OutOfRangeError("outside of the storage");
      }
      std::memcpy(dst.data(), storage.data() + offset, dst.size());
      ++calls;
      bytes += dst.size();
      largest = std::max(largest, dst.size());
      return absl::OkStatus();
    };
  }
};

void CheckAllRanges(const std::vector<uint8_t>& storage, size_t item,
                    size_t offset, const Shape& size,
                    const std::vector<int64_t>& stride) {
  const auto view = MakeStridedView(item, offset, size, stride, storage.size());
  ASSERT_TRUE(view.ok()) << view.status();
  const std::vector<uint8_t> expected =
      Naive(storage, item, offset, size, stride);
  ASSERT_EQ(view->elements * item, expected.size());
  Reads reads{storage};
  for (size_t first = 0; first <= view->elements; ++first) {
    for (size_t count = 0; first + count <= view->elements; ++count) {
      std::vector<uint8_t> got(count * item);
      ASSERT_TRUE(
          ReadStrided(*view, first, count, reads.Reader(), absl::MakeSpan(got))
              .ok());
      ASSERT_TRUE(std::equal(
          got.begin(), got.end(),
          expected.begin() + static_cast<std::ptrdiff_t>(first * item)))
          << ShapeToString(size) << ShapeToString(stride) << " " << first << "+"
          << count;
    }
  }
}

TEST(StridedTest, EverySmallView) {
  const std::vector<uint8_t> storage = MakeStorage(4096);
  const std::vector<int64_t> strides = {0, 1, 2, 3, 4, 12, 13};
  for (int64_t a = 1; a <= 4; ++a) {
    for (int64_t b = 1; b <= 4; ++b) {
      for (int64_t sa : strides) {
        for (int64_t sb : strides) {
          CheckAllRanges(storage, 2, 1, {a, b}, {sa, sb});
          CheckAllRanges(storage, 4, 3, {a, 2, b}, {sa, 5, sb});
        }
      }
    }
  }
  for (const size_t item : {1, 2, 4, 8, 16}) {
    CheckAllRanges(storage, item, 0, {3, 2, 2, 3}, {1, 18, 9, 3});
    CheckAllRanges(storage, item, 7, {}, {});
    CheckAllRanges(storage, item, 7, {5}, {3});
    CheckAllRanges(storage, item, 7, {2, 0, 3}, {9, 9, 9});
  }
}

TEST(StridedTest, LargeViewsTakeEveryPath) {
  struct Case {
    const char* name;
    size_t item;
    Shape size;
    std::vector<int64_t> stride;
  };
  const std::vector<Case> cases = {
      {"transposed", 4, {3000, 700}, {1, 3000}},
      {"transposed, far rows", 2, {5000, 300}, {1, 5000}},
      {"permuted", 4, {50, 40, 600}, {40, 1, 2000}},
      {"channels last", 4, {64, 64, 20, 20}, {25600, 1, 1280, 64}},
      {"columns", 4, {3000, 3}, {600, 1}},
      {"every second", 8, {700, 200}, {500, 2}},
      {"far apart", 1, {400, 2}, {10'000, 9'000}},
      {"long rows", 4, {3, 400'000}, {500'000, 1}},
      {"expanded", 4, {5, 100, 3000}, {0, 3000, 1}},
      {"expanded inside", 4, {100, 7, 500}, {5000, 0, 3}},
      {"expanded rows of a megabyte", 4, {3, 2, 300'000}, {300'000, 0, 1}},
      {"overlapping", 2, {100'000, 9}, {5, 1}},
      {"gaps of a window", 1, {9, 2}, {300'000, 8193}},
  };
  const std::vector<uint8_t> storage = MakeStorage(10 << 20);
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const auto view =
        MakeStridedView(test.item, 11, test.size, test.stride, storage.size());
    ASSERT_TRUE(view.ok()) << view.status();
    const std::vector<uint8_t> expected =
        Naive(storage, test.item, 11, test.size, test.stride);
    const uint64_t all = view->elements;
    const std::vector<std::pair<uint64_t, uint64_t>> ranges = {
        {0, all},
        {0, 1},
        {all - 1, 1},
        {all / 3, all / 3},
        {1, all - 2},
        {all / 2, all / 2},
        {all / 7, 1000 < all ? 1000 : 1}};
    for (const auto& [first, count] : ranges) {
      Reads reads{storage};
      std::vector<uint8_t> got(count * test.item);
      ASSERT_TRUE(
          ReadStrided(*view, first, count, reads.Reader(), absl::MakeSpan(got))
              .ok());
      EXPECT_TRUE(std::equal(
          got.begin(), got.end(),
          expected.begin() + static_cast<std::ptrdiff_t>(first * test.item)))
          << first << "+" << count;
    }
  }
}

TEST(StridedTest, ReadsInLargePieces) {
  const std::vector<uint8_t> storage = MakeStorage(8 << 20);
  // 1024 x 2048 floats, transposed: rows of the storage are 4 KiB apart, so
  // whole windows are read.
  const auto near =
      MakeStridedView(4, 0, {1024, 2048}, {1, 1024}, storage.size());
  ASSERT_TRUE(near.ok());
  Reads near_reads{storage};
  std::vector<uint8_t> out(8 << 20);
  ASSERT_TRUE(ReadStrided(*near, 0, near->elements, near_reads.Reader(),
                          absl::MakeSpan(out))
                  .ok());
  EXPECT_LE(near_reads.calls, 9);
  EXPECT_LE(near_reads.largest, 1 << 20);
  EXPECT_LE(near_reads.bytes, out.size());

  // Rows 64 KiB apart of which 256 bytes are needed: one read for each.
  const auto far =
      MakeStridedView(4, 0, {16384, 128}, {1, 16384}, storage.size());
  ASSERT_TRUE(far.ok());
  Reads far_reads{storage};
  std::vector<uint8_t> rows(64 * 128 * 4);
  ASSERT_TRUE(
      ReadStrided(*far, 640, 64 * 128, far_reads.Reader(), absl::MakeSpan(rows))
          .ok());
  EXPECT_EQ(far_reads.calls, 128);
  EXPECT_EQ(far_reads.bytes, rows.size());

  // Contiguous views are read in one piece, in place.
  const auto contiguous =
      MakeStridedView(4, 5, {100, 1, 2000}, {2000, 7, 1}, storage.size());
  ASSERT_TRUE(contiguous.ok());
  EXPECT_TRUE(contiguous->IsContiguous());
  Reads one{storage};
  std::vector<uint8_t> all(800'000);
  ASSERT_TRUE(
      ReadStrided(*contiguous, 0, 200'000, one.Reader(), absl::MakeSpan(all))
          .ok());
  EXPECT_EQ(one.calls, 1);
}

TEST(StridedTest, PassesErrorsOn) {
  const auto view = MakeStridedView(4, 0, {10, 10}, {1, 10}, 400);
  ASSERT_TRUE(view.ok());
  std::vector<uint8_t> out(400);
  const StorageReader broken = [](uint64_t, absl::Span<uint8_t>) {
    return absl::UnavailableError("broken");
  };
  ExpectError(ReadStrided(*view, 0, 100, broken, absl::MakeSpan(out)),
              absl::StatusCode::kUnavailable, "broken");
}

TEST(StridedTest, EqualViewsAreEqual) {
  const auto a = MakeStridedView(4, 2, {2, 3, 4}, {12, 4, 1}, 1000);
  const auto b = MakeStridedView(4, 2, {6, 1, 4}, {4, 99, 1}, 1000);
  const auto c = MakeStridedView(4, 2, {2, 3, 4}, {12, 4, 2}, 1000);
  ASSERT_TRUE(a.ok() && b.ok() && c.ok());
  EXPECT_TRUE(a->dims == b->dims);
  EXPECT_FALSE(a->dims == c->dims);
}

TEST(StridedTest, RefusesWhatLiesOutside) {
  struct Case {
    uint64_t offset;
    Shape size;
    std::vector<int64_t> stride;
    uint64_t storage;
    const char* message;
  };
  const std::vector<Case> cases = {
      {0, {3}, {1}, 11, "reaches to byte 12, but the storage has 11"},
      {1, {3}, {1}, 12, "reaches to byte 16"},
      {0, {2, 2}, {3, 1}, 16, "reaches to byte 20"},
      {0, {}, {}, 3, "reaches to byte 4"},
      {0, {2}, {1, 1}, 100, "ranks differ"},
      {0, {-1}, {1}, 100, "negative"},
      {0, {1}, {-1}, 100, "a stride is negative"},
      {0, {kMax, kMax}, {1, 1}, 100, "elements"},
      {0, {kMax}, {1}, 100, "overflow"},
      {0, {3}, {kMax}, 100, "overflow"},
      {0, {1 << 20}, {int64_t{1} << 43}, 100, "overflow"},
      {std::numeric_limits<uint64_t>::max(), {1}, {1}, 100, "overflow"},
      {uint64_t{1} << 62, {1}, {1}, 100, "overflow"},
      {0, {1 << 30}, {0}, 100, "expands 100 stored bytes to 4294967296"},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(absl::StrCat(ShapeToString(test.size), " ", test.message));
    ExpectError(
        MakeStridedView(4, test.offset, test.size, test.stride, test.storage),
        absl::StatusCode::kDataLoss, test.message);
  }
  EXPECT_FALSE(
      MakeStridedView(1, 0, Shape(65, 1), std::vector<int64_t>(65, 1), 100)
          .ok());
  // What has no elements reaches nowhere.
  EXPECT_TRUE(MakeStridedView(4, 100, {0, 5}, {kMax, 1}, 0).ok());
}

}  // namespace
}  // namespace monoquant
