#include "core/nonfinite.h"

#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/kernels/element.h"
#include "core/kernels/kernels.h"
#include "ir/json.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// "[3, 17]" of element `element` in row-major order.
std::string IndexToString(uint64_t element, absl::Span<const int64_t> shape) {
  Shape index(shape.size());
  for (size_t i = shape.size(); i > 0; --i) {
    const uint64_t dim = static_cast<uint64_t>(shape[i - 1]);
    index[i - 1] = static_cast<int64_t>(element % dim);
    element /= dim;
  }
  return ShapeToString(index);
}

}  // namespace

size_t CountNonfinite(absl::Span<const float> values) {
  return ActiveKernels().count_nonfinite(values.data(), values.size());
}

size_t FirstNonfinite(absl::Span<const float> values) {
  size_t i = 0;
  while (i < values.size() && element::IsNonfinite(values[i]) == 0) ++i;
  return i;
}

size_t ZeroNonfinite(absl::Span<float> values) {
  const size_t count = CountNonfinite(values);
  if (count == 0) return 0;
  for (float& value : values) {
    value = element::IsNonfinite(value) != 0 ? 0.0f : value;
  }
  return count;
}

std::string DescribeElement(DType dtype, const uint8_t* bytes, uint64_t element,
                            absl::Span<const int64_t> shape) {
  double value;
  if (dtype == DType::kF64) {
    std::memcpy(&value, bytes, sizeof(value));
  } else {
    float narrow;
    ToFloat(dtype, bytes, absl::MakeSpan(&narrow, 1));
    value = static_cast<double>(narrow);
  }
  const std::string at =
      absl::StrCat(" at index ", IndexToString(element, shape));
  if (std::isnan(value)) return absl::StrCat("NaN", at);
  if (std::isinf(value)) {
    return absl::StrCat(value < 0 ? "-infinity" : "infinity", at);
  }
  const bool wide = std::isinf(static_cast<float>(value));
  return absl::StrCat(NumberText(value), at,
                      wide ? ", beyond the range of float32" : "");
}

}  // namespace monoquant
