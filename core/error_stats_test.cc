#include "core/error_stats.h"

#include <cmath>
#include <limits>
#include <vector>

#include "absl/types/span.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

ErrorStats Of(const std::vector<float>& a, const std::vector<float>& b) {
  ErrorStats stats;
  stats.Add(a, b);
  return stats;
}

TEST(ErrorStatsTest, KnownValues) {
  const ErrorStats stats = Of({3, 4, 0}, {3, 4.5f, -1});
  EXPECT_EQ(stats.count(), 3u);
  EXPECT_EQ(stats.nonfinite(), 0u);
  EXPECT_DOUBLE_EQ(stats.Mse(), 1.25 / 3);
  EXPECT_DOUBLE_EQ(stats.MaxAbsError(), 1);
  EXPECT_DOUBLE_EQ(stats.SqnrDb(), 10 * std::log10(25 / 1.25));
  EXPECT_DOUBLE_EQ(stats.Cosine(), 27 / std::sqrt(25 * 30.25));
}

TEST(ErrorStatsTest, Edges) {
  EXPECT_EQ(ErrorStats().Mse(), 0);
  EXPECT_EQ(ErrorStats().SqnrDb(), kInf);
  EXPECT_EQ(ErrorStats().Cosine(), 1);
  EXPECT_EQ(Of({0, 0}, {0, 0}).SqnrDb(), kInf);
  EXPECT_EQ(Of({0, 0}, {0, 0}).Cosine(), 1);
  EXPECT_EQ(Of({0, 0}, {0, 1}).SqnrDb(), -kInf);
  EXPECT_EQ(Of({0, 0}, {0, 1}).Cosine(), 0);
  EXPECT_EQ(Of({1, 2}, {1, 2}).SqnrDb(), kInf);
  EXPECT_EQ(Of({1, 2}, {0, 0}).SqnrDb(), 0);
  EXPECT_EQ(Of({1, 2}, {0, 0}).Cosine(), 0);
  EXPECT_DOUBLE_EQ(Of({1, 2}, {-1, -2}).Cosine(), -1);
  // Nothing overflows on the way.
  const float max = std::numeric_limits<float>::max();
  EXPECT_DOUBLE_EQ(Of({max, max}, {max, -max}).Cosine(), 0);
  EXPECT_DOUBLE_EQ(Of({max, max}, {max, max}).Cosine(), 1);
}

TEST(ErrorStatsTest, NonfinitePairsAreSetAside) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  const ErrorStats stats = Of({1, inf, 2, nan, 3}, {1, 0, inf, nan, 5});
  EXPECT_EQ(stats.count(), 2u);
  EXPECT_EQ(stats.nonfinite(), 3u);
  EXPECT_DOUBLE_EQ(stats.Mse(), 2);
  EXPECT_DOUBLE_EQ(stats.MaxAbsError(), 2);
}

// Six digits against sums in long double, for all shapes of values and lengths
// that are no multiple of the lanes; and in pieces.
TEST(ErrorStatsTest, EqualsPlainSums) {
  for (testing::Values kind : testing::kAllValues) {
    for (size_t count : {1, 15, 16, 17, 1000, 4099}) {
      const std::vector<float> a = testing::Make(kind, count, 1);
      const std::vector<float> b =
          testing::Make(testing::Values::kRandom, count, 2);
      long double aa = 0, bb = 0, ab = 0, ee = 0;
      for (size_t i = 0; i < count; ++i) {
        const long double x = a[i];
        const long double y = b[i];
        aa += x * x;
        bb += y * y;
        ab += x * y;
        ee += (x - y) * (x - y);
      }
      ErrorStats pieces;
      for (size_t begin = 0; begin < count; begin += 37) {
        ErrorStats piece;
        piece.Add(absl::MakeConstSpan(a).subspan(begin, 37),
                  absl::MakeConstSpan(b).subspan(begin, 37));
        pieces.Merge(piece);
      }
      for (const ErrorStats& stats : {Of(a, b), pieces}) {
        EXPECT_EQ(stats.count(), count);
        EXPECT_NEAR(stats.Mse(),
                    static_cast<double>(ee / static_cast<long double>(count)),
                    1e-6 * stats.Mse());
        if (aa > 0 && bb > 0) {
          EXPECT_NEAR(stats.Cosine(),
                      static_cast<double>(ab / std::sqrt(aa * bb)), 1e-6);
        }
      }
    }
  }
}

}  // namespace
}  // namespace monoquant
