// One tensor in memory, for embedders and tests: floats in, codes out, and
// back. Whole checkpoints go through core/plan.h and core/job.h, which give the
// same bytes.

#ifndef MONOQUANT_CORE_QUANTIZE_TENSOR_H_
#define MONOQUANT_CORE_QUANTIZE_TENSOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// A tensor of codes as it is stored.
struct QuantizedValues {
  // Of CodeDType and CodeShape; 4-bit codes two a byte (core/codecs/int4.h).
  std::vector<uint8_t> codes;
  // One for each set of elements that share them, in the order of ParamLayout;
  // for symmetric schemes all zero points are the same. Empty where the
  // format has none.
  std::vector<float> scales;
  std::vector<int32_t> zero_points;
  // Of schemes that have one (HasGlobalScale): scales are to be divided by it.
  float global_scale = 1;
};

// Quantizes a row-major tensor by min/max and round to nearest.
//
//   QuantScheme scheme;
//   scheme.format = NumberFormat::kInt4;
//   scheme.granularity = Granularity::kGroup;
//   scheme.group_size = 128;
//   auto quantized = QuantizeTensor(weights, {4096, 4096}, scheme);
//
// InvalidArgument if `values` does not have the elements of `shape` or the
// scheme does not fit it; FailedPrecondition, with the index, for a NaN or an
// infinity where the format has scales, and for group sizes that do not
// divide the row.
absl::StatusOr<QuantizedValues> QuantizeTensor(absl::Span<const float> values,
                                               absl::Span<const int64_t> shape,
                                               const QuantScheme& scheme);

// The values that the codes stand for. InvalidArgument if the sizes of the
// vectors are not those that QuantizeTensor gives.
absl::StatusOr<std::vector<float>> DequantizeTensor(
    const QuantizedValues& quantized, absl::Span<const int64_t> shape,
    const QuantScheme& scheme);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_QUANTIZE_TENSOR_H_
