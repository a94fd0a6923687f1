#include "core/observers/minmax.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace monoquant {
namespace {

// Starts at 0 .. 0: the range covers 0 anyway (QParamsFromRange).
struct Range {
  float min = 0;
  float max = 0;
};

void Extend(Range& range, float min, float max) {
  range.min = min < range.min ? min : range.min;
  range.max = max > range.max ? max : range.max;
}

// Independent lanes, which compilers turn into vector instructions. The result
// does not depend on their number.
void ExtendByRun(Range& range, const float* values, size_t count) {
  constexpr size_t kLanes = 16;
  size_t i = 0;
  if (count >= kLanes) {
    float min[kLanes];
    float max[kLanes];
    std::copy(values, values + kLanes, min);
    std::copy(values, values + kLanes, max);
    for (i = kLanes; i + kLanes <= count; i += kLanes) {
      for (size_t j = 0; j < kLanes; ++j) {
        const float value = values[i + j];
        min[j] = value < min[j] ? value : min[j];
        max[j] = value > max[j] ? value : max[j];
      }
    }
    for (size_t j = 0; j < kLanes; ++j) Extend(range, min[j], max[j]);
  }
  for (; i < count; ++i) Extend(range, values[i], values[i]);
}

class MinMaxObserver : public Observer {
 public:
  explicit MinMaxObserver(size_t slots) : ranges_(slots) {}

  void Observe(size_t first, size_t run,
               absl::Span<const float> values) override {
    for (size_t i = 0; i < values.size(); i += run) {
      ExtendByRun(ranges_[first++], values.data() + i,
                  std::min(run, values.size() - i));
    }
  }

  void Merge(size_t first, const Observer& other) override {
    for (const Range& range :
         static_cast<const MinMaxObserver&>(other).ranges_) {
      Extend(ranges_[first++], range.min, range.max);
    }
  }

  QParams Compute(size_t slot, const IntegerGrid& grid) const override {
    return QParamsFromRange(ranges_[slot].min, ranges_[slot].max, grid);
  }

 private:
  std::vector<Range> ranges_;
};

std::unique_ptr<Observer> Create(size_t slots) {
  return std::make_unique<MinMaxObserver>(slots);
}

}  // namespace

const ObserverRow kMinMaxObserver = {
    "minmax", "covers the smallest and the largest value", Create,
    sizeof(Range)};

}  // namespace monoquant
