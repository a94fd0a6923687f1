#include "core/resolve_scheme.h"

#include <algorithm>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr int64_t kBlockSize = 128;

// Group sizes to try where the user states none, in this order: those that the
// programs have kernels for which have the format. bitsandbytes has blocks of
// 64, the MX formats are in groups of 32, NVFP4 in those of 16.
struct GroupSizes {
  absl::Span<const uint64_t> sizes;
  absl::string_view text;
};

GroupSizes GroupSizesOf(const QuantScheme& scheme) {
  static constexpr uint64_t kSizes[] = {128, 64, 32, 16};
  const auto sizes = absl::MakeConstSpan(kSizes);
  if (HasGlobalScale(scheme)) return {sizes.subspan(3), "16"};
  if (scheme.scale_dtype == DType::kF8E8M0) return {sizes.subspan(2, 1), "32"};
  if (IsCodebook(scheme.format)) return {sizes.subspan(1, 2), "64 or 32"};
  return {sizes.first(3), "128, 64 or 32"};
}

// Elements of a packing row, as in ParamLayout.
uint64_t RowLength(absl::Span<const int64_t> shape) {
  uint64_t row = 1;
  for (size_t i = shape.size() < 2 ? 0 : 1; i < shape.size(); ++i) {
    row *= static_cast<uint64_t>(shape[i]);
  }
  return row;
}

// "50 and 100": the nearest divisors of `row` on either side of `group`.
std::string DivisorsNear(uint64_t row, uint64_t group) {
  uint64_t below = 1;
  uint64_t above = row;
  // Larger pairs of divisors are no group sizes that anybody wants.
  constexpr uint64_t kMostTried = 1 << 20;
  for (uint64_t d = 1; d <= row / d && d <= kMostTried; ++d) {
    if (row % d != 0) continue;
    for (uint64_t divisor : {d, row / d}) {
      if (divisor < group) below = std::max(below, divisor);
      if (divisor > group) above = std::min(above, divisor);
    }
  }
  if (below == 1 || below == above) return absl::StrCat(above);
  return absl::StrCat(below, " and ", above);
}

}  // namespace

absl::StatusOr<ResolvedScheme> ResolveScheme(const SchemeSpec& spec,
                                             absl::Span<const int64_t> shape,
                                             DType scale_dtype,
                                             int output_axis) {
  ResolvedScheme resolved;
  QuantScheme& scheme = resolved.scheme;
  scheme.format = spec.format;
  if (!HasScales(spec.format)) return resolved;
  scheme.scale_dtype = spec.scale_dtype.value_or(scale_dtype);
  if (HasZeroPoints(spec.format)) {
    scheme.symmetric = spec.symmetric;
    scheme.convention = spec.convention;
  }

  if (HasRowScales(spec.format) && shape.size() < 2) {
    return FailedPreconditionError(
        NumberFormatName(spec.format), " has a scale for each row, and shape ",
        ShapeToString(shape), " has no rows; use int8");
  }
  const bool grouped =
      BitsOfCode(spec.format) < 8 || scheme.scale_dtype == DType::kF8E8M0;
  scheme.granularity = spec.granularity.value_or(grouped ? Granularity::kGroup
                                                         : Granularity::kAxis);

  if (scheme.granularity == Granularity::kBlock) {
    if (shape.size() == 2) {
      scheme.group_size = spec.group_size != 0 ? spec.group_size : kBlockSize;
      return resolved;
    }
    resolved.note = "blocks are of matrices";
    scheme.granularity = Granularity::kAxis;
  } else if (scheme.granularity == Granularity::kGroup) {
    const uint64_t row = RowLength(shape);
    if (spec.granularity.has_value() && spec.group_size != 0) {
      const uint64_t group = static_cast<uint64_t>(spec.group_size);
      if (row % group != 0) {
        return FailedPreconditionError(
            "group size ", group, " does not divide its row of ", row,
            " elements, ", DivisorsNear(row, group),
            " would; give it a rule of its own, or leave the size open");
      }
      scheme.group_size = spec.group_size;
      return resolved;
    }
    const GroupSizes by_default = GroupSizesOf(scheme);
    for (const uint64_t group : by_default.sizes) {
      if (row % group != 0) continue;
      scheme.group_size = static_cast<int64_t>(group);
      return resolved;
    }
    resolved.note = absl::StrCat("no group of ", by_default.text,
                                 " divides its row of ", row);
    scheme.granularity = Granularity::kAxis;
  } else if (spec.granularity == Granularity::kAxis && spec.axis.has_value()) {
    if (static_cast<size_t>(*spec.axis) >= shape.size()) {
      return FailedPreconditionError(
          "axis ", *spec.axis, " is out of range for shape ",
          ShapeToString(shape), "; use granularity tensor",
          shape.empty() ? "" : ", or an axis below ",
          shape.empty() ? "" : absl::StrCat(shape.size()));
    }
    scheme.axis = *spec.axis;
    return resolved;
  }
  if (scheme.granularity != Granularity::kAxis) return resolved;
  if (shape.size() < 2) {
    scheme.granularity = Granularity::kTensor;
  } else if (!HasRowScales(spec.format)) {
    scheme.axis = output_axis;
  }
  return resolved;
}

}  // namespace monoquant
