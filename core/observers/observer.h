// Statistics of the values that share a scale, and the scale that follows.

#ifndef MONOQUANT_CORE_OBSERVERS_OBSERVER_H_
#define MONOQUANT_CORE_OBSERVERS_OBSERVER_H_

#include <cstddef>
#include <memory>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/qparams.h"

namespace monoquant {

// Observes a number of slots at once; a slot is one set of values that share a
// scale. Not thread-safe: every worker has its own, and they are merged.
//
// Any cut of the values into calls, over any number of merged observers, in any
// order, gives the same parameters to the bit. So statistics are things like a
// minimum or whole-number counts, never a running float sum.
class Observer {
 public:
  virtual ~Observer() = default;

  // Takes values[i] into slot first + i / run. All values are finite. `run` is
  // not 0.
  virtual void Observe(size_t first, size_t run,
                       absl::Span<const float> values) = 0;

  // Adds what slot i of `other`, an observer of the same kind, has seen to slot
  // first + i.
  virtual void Merge(size_t first, const Observer& other) = 0;

  // The parameters for what the slots from `first` on have seen, one for each
  // of `params`; for an empty slot those of a range from 0 to 0.
  virtual void Compute(size_t first, const LevelGrid& grid,
                       absl::Span<QParams> params) const = 0;
};

struct ObserverRow {
  absl::string_view name;  // as recipes spell it
  absl::string_view description;
  // An observer of `slots` slots, none of which has seen a value.
  std::unique_ptr<Observer> (*create)(size_t slots);
  size_t bytes_per_slot;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_OBSERVERS_OBSERVER_H_
