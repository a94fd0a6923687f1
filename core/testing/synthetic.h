// Values whose quantization is easy to think about.

#ifndef MONOQUANT_CORE_TESTING_SYNTHETIC_H_
#define MONOQUANT_CORE_TESTING_SYNTHETIC_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace monoquant::testing {

enum class Values {
  kZero,
  kFlat,       // one value
  kPlateau,    // a few values, each many times in a row
  kRamp,       // evenly from one end to the other, not symmetric
  kOutlier,    // small values and a single large one
  kRandom,     // bell-shaped around 0
  kHalfway,    // in the middle between two levels, or next to it
  kSubnormal,  // smaller than any normal float
};
inline constexpr Values kAllValues[] = {
    Values::kZero,    Values::kFlat,   Values::kPlateau, Values::kRamp,
    Values::kOutlier, Values::kRandom, Values::kHalfway, Values::kSubnormal};

absl::string_view Name(Values values);

// `count` values; the same for equal arguments on every platform.
std::vector<float> Make(Values values, size_t count, uint64_t seed = 1);

// A sequence of pseudo-random numbers, the same on every platform.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}
  uint64_t Bits();
  // From 0 up to, but not including, `end`.
  uint64_t Below(uint64_t end) { return Bits() % end; }
  // From `low` to `high`.
  float Uniform(float low, float high);
  // Any bit pattern that is a finite float.
  float Finite();

 private:
  uint64_t state_;
};

}  // namespace monoquant::testing

#endif  // MONOQUANT_CORE_TESTING_SYNTHETIC_H_
