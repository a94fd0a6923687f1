#include "core/observers/minmax.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/kernels/kernels.h"

namespace monoquant {
namespace {

class MinMaxObserver : public Observer {
 public:
  explicit MinMaxObserver(size_t slots) : ranges_(slots) {}

  void Observe(size_t first, size_t run,
               absl::Span<const float> values) override {
    if (values.empty()) return;
    ActiveKernels().extend_ranges(values.data(), values.size(), run,
                                  &ranges_[first]);
  }

  void Merge(size_t first, const Observer& other) override {
    for (const ValueRange& seen :
         static_cast<const MinMaxObserver&>(other).ranges_) {
      ValueRange& range = ranges_[first++];
      range.min = std::min(range.min, seen.min);
      range.max = std::max(range.max, seen.max);
    }
  }

  void Compute(size_t first, const LevelGrid& grid,
               absl::Span<QParams> params) const override {
    QParamsFromRanges(absl::MakeConstSpan(ranges_).subspan(first), grid,
                      params);
  }

 private:
  // The range covers 0 anyway (QParamsFromRanges).
  std::vector<ValueRange> ranges_;
};

std::unique_ptr<Observer> Create(size_t slots) {
  return std::make_unique<MinMaxObserver>(slots);
}

}  // namespace

const ObserverRow kMinMaxObserver = {
    "minmax", "covers the smallest and the largest value", Create,
    sizeof(ValueRange)};

}  // namespace monoquant
