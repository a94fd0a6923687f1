#include "ir/shape.h"

#include <cstdint>
#include <limits>

#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ShapeTest, NumElements) {
  const struct {
    Shape shape;
    uint64_t elements;
  } cases[] = {
      {{}, 1},
      {{0}, 0},
      {{7}, 7},
      {{2, 3, 4}, 24},
      {{2, 0, 4}, 0},
      {{kMax}, static_cast<uint64_t>(kMax)},
      {{kMax, 0}, 0},
      {Shape(kMaxDims, 1), 1},
      {{int64_t{1} << 31, int64_t{1} << 31}, uint64_t{1} << 62},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<uint64_t> elements = NumElements(c.shape);
    ASSERT_TRUE(elements.ok()) << elements.status();
    EXPECT_EQ(*elements, c.elements) << ShapeToString(c.shape);
  }
}

// Guards the arithmetic on numbers that a file states, zero dimensions
// included: they must not hide an overflow.
TEST(ShapeTest, NumElementsRefuses) {
  const struct {
    Shape shape;
    const char* message;
  } cases[] = {
      {{-1}, "negative"},
      {{0, -1}, "negative"},
      {{std::numeric_limits<int64_t>::min()}, "negative"},
      {{kMax, 2}, "2^63-1"},
      {{int64_t{1} << 32, int64_t{1} << 31}, "2^63-1"},
      {{int64_t{1} << 32, int64_t{1} << 32}, "2^63-1"},
      {{0, kMax, 2}, "2^63-1"},
      {{kMax, 2, 0}, "2^63-1"},
      {Shape(kMaxDims + 1, 1), "65 dimensions"},
  };
  for (const auto& c : cases) {
    ExpectError(NumElements(c.shape), absl::StatusCode::kInvalidArgument,
                c.message);
    ExpectError(ByteSize(DType::kI8, c.shape),
                absl::StatusCode::kInvalidArgument, c.message);
  }
}

TEST(ShapeTest, ByteSize) {
  EXPECT_EQ(ByteSize(DType::kF32, {2, 3}).value(), 24u);
  EXPECT_EQ(ByteSize(DType::kF32, {}).value(), 4u);
  EXPECT_EQ(ByteSize(DType::kC128, {3}).value(), 48u);
  EXPECT_EQ(ByteSize(DType::kF4, {2, 4}).value(), 4u);
  EXPECT_EQ(ByteSize(DType::kF6E2M3, {4}).value(), 3u);
  EXPECT_EQ(ByteSize(DType::kF64, {0, 5}).value(), 0u);
  ExpectError(ByteSize(DType::kF4, {3}), absl::StatusCode::kInvalidArgument,
              "12 bits, which is no whole number of bytes");
  ExpectError(ByteSize(DType::kF32, {kMax}), absl::StatusCode::kInvalidArgument,
              "2^64 bits");
}

TEST(ShapeTest, ShapeToString) {
  EXPECT_EQ(ShapeToString({}), "[]");
  EXPECT_EQ(ShapeToString({3, 224, -1}), "[3, 224, -1]");
}

TEST(ShapeTest, CheckedAlignUp) {
  uint64_t out;
  for (const auto& [value, aligned] :
       {std::pair<uint64_t, uint64_t>{0, 0}, {1, 64}, {64, 64}, {65, 128}}) {
    ASSERT_TRUE(CheckedAlignUp(value, 64, &out));
    EXPECT_EQ(out, aligned);
  }
  EXPECT_FALSE(CheckedAlignUp(UINT64_MAX - 5, 64, &out));
  EXPECT_TRUE(CheckedAlignUp(UINT64_MAX - 63, 64, &out));
}

}  // namespace
}  // namespace monoquant
