#include "core/testing/synthetic.h"

#include <cmath>
#include <cstring>

namespace monoquant::testing {

absl::string_view Name(Values values) {
  constexpr absl::string_view kNames[] = {"zero",    "flat",     "plateau",
                                          "ramp",    "outlier",  "random",
                                          "halfway", "subnormal"};
  return kNames[static_cast<int>(values)];
}

// SplitMix64.
uint64_t Random::Bits() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

float Random::Uniform(float low, float high) {
  const float unit = static_cast<float>(Bits() >> 40) * 0x1p-24f;
  return low + (high - low) * unit;
}

float Random::Finite() {
  while (true) {
    const uint32_t bits = static_cast<uint32_t>(Bits());
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) return value;
  }
}

std::vector<float> Make(Values values, size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> result(count);
  for (size_t i = 0; i < count; ++i) {
    // Sum of uniform numbers: close enough to a bell.
    const float bell =
        random.Uniform(-1, 1) + random.Uniform(-1, 1) + random.Uniform(-1, 1);
    switch (values) {
      case Values::kZero:
        result[i] = 0;
        break;
      case Values::kFlat:
        result[i] = -0.37f;
        break;
      case Values::kPlateau:
        result[i] = static_cast<float>(i / 24 % 5) * 0.25f - 0.3f;
        break;
      case Values::kRamp:
        result[i] =
            -1.0f + 3.0f * static_cast<float>(i) / static_cast<float>(count);
        break;
      case Values::kOutlier:
        result[i] = i == count / 3 ? 40.0f : 0.02f * bell;
        break;
      case Values::kRandom:
        result[i] = 0.1f * bell;
        break;
      case Values::kHalfway: {
        const float middle = static_cast<float>(random.Below(256)) - 127.5f;
        result[i] = std::nextafter(
            middle * 0.031f, random.Below(3) == 0 ? middle : -1000.0f * middle);
        break;
      }
      case Values::kSubnormal:
        result[i] = bell * 1e-40f;
        break;
    }
  }
  return result;
}

}  // namespace monoquant::testing
