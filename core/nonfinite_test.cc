#include "core/nonfinite.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// One bad value at every position of spans of every length up to 40.
TEST(NonfiniteTest, FindsThemAnywhere) {
  for (size_t count = 0; count < 40; ++count) {
    std::vector<float> values(count, std::numeric_limits<float>::max());
    EXPECT_EQ(CountNonfinite(values), 0u);
    EXPECT_EQ(FirstNonfinite(values), count);
    for (size_t at = 0; at < count; ++at) {
      for (float bad : {kInf, -kInf, std::nanf("")}) {
        std::vector<float> damaged = values;
        damaged[at] = bad;
        damaged.back() = bad;
        const size_t expected = at + 1 == count ? 1 : 2;
        EXPECT_EQ(CountNonfinite(damaged), expected);
        EXPECT_EQ(FirstNonfinite(damaged), at);
        EXPECT_EQ(ZeroNonfinite(absl::MakeSpan(damaged)), expected);
        EXPECT_EQ(damaged[at], 0);
        EXPECT_EQ(CountNonfinite(damaged), 0u);
        EXPECT_EQ(ZeroNonfinite(absl::MakeSpan(damaged)), 0u);
      }
    }
  }
}

template <typename T>
std::string Describe(DType dtype, T value, uint64_t element,
                     std::vector<int64_t> shape) {
  return DescribeElement(dtype, reinterpret_cast<const uint8_t*>(&value),
                         element, shape);
}

TEST(NonfiniteTest, Describes) {
  EXPECT_EQ(Describe(DType::kF32, std::nanf(""), 3 * 20 + 17, {4, 20}),
            "NaN at index [3, 17]");
  EXPECT_EQ(Describe(DType::kF32, -kInf, 23, {2, 3, 4}),
            "-infinity at index [1, 2, 3]");
  EXPECT_EQ(Describe(DType::kF32, kInf, 0, {}), "infinity at index []");
  EXPECT_EQ(Describe(DType::kF64, 1e300, 1, {5}),
            "1e+300 at index [1], beyond the range of float32");
  EXPECT_EQ(Describe(DType::kF32, 70000.0f, 1, {5}), "70000 at index [1]");
  EXPECT_EQ(Describe(DType::kF16, uint16_t{0x7c00}, 1, {5}),
            "infinity at index [1]");
  EXPECT_EQ(Describe(DType::kBF16, uint16_t{0x7fc0}, 1, {5}),
            "NaN at index [1]");
}

}  // namespace
}  // namespace monoquant
