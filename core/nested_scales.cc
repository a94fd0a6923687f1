#include "core/nested_scales.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>

#include "core/kernels/element.h"
#include "ir/codebooks.h"
#include "ir/quant_storage.h"

namespace monoquant {
namespace {

constexpr size_t kBlock = static_cast<size_t>(kNestedBlock);

// The place of the number that is nearest to `value`, the smaller one of two.
uint8_t NearestNumber(float value) {
  const float* const begin = std::begin(kNestedNumbers);
  const float* above = std::lower_bound(begin, std::end(kNestedNumbers), value);
  if (above == std::end(kNestedNumbers)) --above;
  if (above != begin && value - above[-1] <= *above - value) --above;
  return static_cast<uint8_t>(above - begin);
}

// The code of a quotient. The library has a table of codes for 2^16 numbers
// from -1 to 1, and takes that of the nearest of these.
uint8_t CodeOf(float quotient) {
  constexpr float kSteps = 65535;
  // NaN, too: that of 0 and of an infinite reciprocal.
  if (!(quotient > -1.0f)) return 0;
  const float place = (std::min(quotient, 1.0f) + 1.0f) * (kSteps / 2);
  const float rounded = std::floor(place + 0.5f);
  const float step = rounded * (2 / kSteps);
  return NearestNumber(step - 1.0f);
}

}  // namespace

void ScaleSum::Add(absl::Span<const QParams> params) {
  for (const QParams& p : params) {
    const uint32_t bits = element::BitCast<uint32_t>(p.scale) & 0x7fffffffu;
    const uint32_t exponent = bits >> 23;
    const uint32_t fraction = bits & 0x7fffffu;
    // Subnormal numbers have the unit of the smallest others.
    if (exponent == 0) {
      sums_[0] += fraction;
    } else if (exponent <= sums_.size()) {
      sums_[exponent - 1] += fraction | 0x800000u;
    }
  }
}

void ScaleSum::Merge(const ScaleSum& other) {
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
}

float ScaleSum::Mean(uint64_t count) const {
  double sum = 0;  // counts 2^(i - 149)
  for (const uint64_t mantissas : sums_) {
    sum = sum / 2 + static_cast<double>(mantissas);
  }
  const double mean = sum / static_cast<double>(count);
  return static_cast<float>(mean * 0x1p104);
}

uint64_t NestedScalesBytes(uint64_t scales) {
  return scales * (sizeof(QParams) + 1) + (scales / kBlock + 1) * sizeof(float);
}

void QuantizeScales(absl::Span<const QParams> params, float offset,
                    NestedScales* nested) {
  nested->codes.resize(params.size());
  nested->params.resize(params.size());
  nested->block_scales.clear();
  for (size_t begin = 0; begin < params.size(); begin += kBlock) {
    const size_t end = std::min(begin + kBlock, params.size());
    float largest = 0;
    for (size_t i = begin; i < end; ++i) {
      largest = std::max(largest, std::abs(params[i].scale - offset));
    }
    nested->block_scales.push_back(largest);
    const float reciprocal = 1 / largest;
    for (size_t i = begin; i < end; ++i) {
      const float difference = params[i].scale - offset;
      const uint8_t code = CodeOf(difference * reciprocal);
      const float product = kNestedNumbers[code] * largest;
      nested->codes[i] = code;
      nested->params[i] = {product + offset, params[i].zero_point};
    }
  }
}

}  // namespace monoquant
