#include "core/observers/minmax.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "core/qparams.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using testing::Random;
using testing::Values;

LevelGrid Grid() {
  return {LevelKind::kSigned, -128, 127, false, Convention::kTorch, false};
}

QParams Compute(const Observer& observer, size_t slot) {
  QParams params;
  observer.Compute(slot, Grid(), absl::MakeSpan(&params, 1));
  return params;
}

// Parameters for the smallest and largest of `values`, the slow way.
QParams Expected(absl::Span<const float> values) {
  float min = 0;
  float max = 0;
  for (float value : values) {
    min = std::min(min, value);
    max = std::max(max, value);
  }
  return QParamsFromRange(min, max, Grid());
}

TEST(MinMaxTest, EmptySlotsHaveUsableParameters) {
  const auto observer = kMinMaxObserver.create(2);
  EXPECT_EQ(Compute(*observer, 1), QParamsFromRange(0, 0, Grid()));
}

// The extremes are found wherever they are, in runs of any length.
TEST(MinMaxTest, FindsExtremesAnywhere) {
  for (size_t count = 1; count < 70; ++count) {
    for (size_t at = 0; at < count; ++at) {
      std::vector<float> values(count, 0.5f);
      values[at] = -3;
      values[(at + count / 2) % count] -= 7;
      const auto observer = kMinMaxObserver.create(1);
      observer->Observe(0, count, values);
      EXPECT_EQ(Compute(*observer, 0), Expected(values));
    }
  }
}

TEST(MinMaxTest, RunsGoToTheirSlots) {
  const std::vector<float> values = testing::Make(Values::kRandom, 1000);
  for (size_t run : {1, 2, 7, 16, 33, 128, 999, 1000, 5000}) {
    const size_t slots = (values.size() - 1) / run + 1;
    const auto observer = kMinMaxObserver.create(slots + 2);
    observer->Observe(2, run, values);
    std::vector<QParams> params(slots);
    observer->Compute(2, Grid(), absl::MakeSpan(params));
    for (size_t slot = 0; slot < slots; ++slot) {
      const absl::Span<const float> part =
          absl::MakeConstSpan(values).subspan(slot * run, run);
      EXPECT_EQ(params[slot], Expected(part));
    }
  }
}

// Any cut into calls and observers, merged in any order, is the same.
TEST(MinMaxTest, AnyCutGivesTheSame) {
  Random random(5);
  for (Values kind : testing::kAllValues) {
    const std::vector<float> values = testing::Make(kind, 500);
    std::vector<std::unique_ptr<Observer>> parts;
    for (size_t begin = 0; begin < values.size();) {
      const size_t count = 1 + random.Below(90);
      parts.push_back(kMinMaxObserver.create(1));
      const auto part = absl::MakeConstSpan(values).subspan(begin, count);
      parts.back()->Observe(0, part.size(), part);
      begin += count;
    }
    const auto merged = kMinMaxObserver.create(3);
    while (!parts.empty()) {
      const size_t i = random.Below(parts.size());
      merged->Merge(1, *parts[i]);
      parts.erase(parts.begin() + static_cast<int64_t>(i));
    }
    EXPECT_EQ(Compute(*merged, 1), Expected(values)) << Name(kind);
    EXPECT_EQ(Compute(*merged, 0), Expected({}));
    EXPECT_EQ(Compute(*merged, 2), Expected({}));
  }
}

}  // namespace
}  // namespace monoquant
