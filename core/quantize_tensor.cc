#include "core/quantize_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "core/algorithms/rtn.h"
#include "core/nonfinite.h"
#include "core/observers/minmax.h"
#include "core/param_runs.h"
#include "core/qparams.h"
#include "core/registry.h"
#include "core/tensor_coder.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// All parameter sets of a tensor.
SlotRange AllSlots(const ParamLayout& layout) { return {0, layout.num_params}; }

// Stored bytes of a tensor's codes.
absl::StatusOr<size_t> CodeBytes(const QuantScheme& scheme,
                                 absl::Span<const int64_t> shape) {
  MQ_ASSIGN_OR_RETURN(const Shape code_shape, CodeShape(scheme.format, shape));
  MQ_ASSIGN_OR_RETURN(const uint64_t bytes,
                      ByteSize(CodeDType(scheme.format), code_shape));
  return static_cast<size_t>(bytes);
}

absl::Status CheckSize(absl::string_view what, uint64_t found,
                       uint64_t expected, absl::Span<const int64_t> shape) {
  if (found == expected) return absl::OkStatus();
  return InvalidArgumentError(found, " ", what, " where shape ",
                              ShapeToString(shape), " needs ", expected);
}

}  // namespace

absl::StatusOr<QuantizedValues> QuantizeTensor(absl::Span<const float> values,
                                               absl::Span<const int64_t> shape,
                                               const QuantScheme& scheme) {
  MQ_ASSIGN_OR_RETURN(const ParamLayout layout,
                      ComputeParamLayout(scheme, shape));
  MQ_RETURN_IF_ERROR(
      CheckSize("values", values.size(), layout.num_elements, shape));
  QuantizedValues result;
  MQ_ASSIGN_OR_RETURN(const size_t code_bytes, CodeBytes(scheme, shape));
  result.codes.resize(code_bytes);
  const Codec& codec = DefaultRegistry().GetCodec(scheme.format);
  if (!HasScales(scheme.format)) {
    codec.encode(values, result.codes.data());
    return result;
  }
  if (CountNonfinite(values) != 0) {
    const size_t first = FirstNonfinite(values);
    return FailedPreconditionError(
        "the tensor holds ",
        DescribeElement(DType::kF32,
                        reinterpret_cast<const uint8_t*>(&values[first]), first,
                        shape),
        ", which ", NumberFormatName(scheme.format), " cannot hold");
  }

  const SlotRange slots = AllSlots(layout);
  const size_t num_params = static_cast<size_t>(layout.num_params);
  const TensorCoder coder(scheme, layout, &kRoundToNearest);
  const std::unique_ptr<Observer> observer = kMinMaxObserver.create(num_params);
  coder.Observe(0, values, slots, *observer);
  std::vector<QParams> params(num_params);
  const bool has_zero_points = HasZeroPoints(scheme.format);
  LevelGrid grid = coder.grid();
  const bool has_global_scale = HasGlobalScale(scheme);
  if (has_global_scale) {
    float magnitude = 0;
    for (float value : values) {
      magnitude = std::max(magnitude, std::fabs(value));
    }
    result.global_scale = grid.global_scale = GlobalScaleOf(magnitude);
  }
  observer->Compute(0, grid, absl::MakeSpan(params));
  for (const QParams& p : params) {
    result.scales.push_back(p.scale);
    if (has_zero_points) result.zero_points.push_back(p.zero_point);
  }
  if (has_global_scale) {
    ScalesBelow(grid.global_scale, params, absl::MakeSpan(result.scales));
  }
  std::vector<uint8_t> levels(values.size());
  coder.Quantize(0, values, slots, params, absl::MakeSpan(levels),
                 /*errors=*/nullptr);
  coder.rows().Pack(0, absl::MakeSpan(levels), result.codes.data());
  return result;
}

absl::StatusOr<std::vector<float>> DequantizeTensor(
    const QuantizedValues& quantized, absl::Span<const int64_t> shape,
    const QuantScheme& scheme) {
  MQ_ASSIGN_OR_RETURN(const ParamLayout layout,
                      ComputeParamLayout(scheme, shape));
  MQ_ASSIGN_OR_RETURN(const size_t code_bytes, CodeBytes(scheme, shape));
  MQ_RETURN_IF_ERROR(
      CheckSize("bytes of codes", quantized.codes.size(), code_bytes, shape));
  std::vector<float> values(static_cast<size_t>(layout.num_elements));
  const Codec& codec = DefaultRegistry().GetCodec(scheme.format);
  if (!HasScales(scheme.format)) {
    codec.decode(quantized.codes.data(), absl::MakeSpan(values));
    return values;
  }
  MQ_RETURN_IF_ERROR(
      CheckSize("scales", quantized.scales.size(), layout.num_params, shape));
  const bool has_zero_points = HasZeroPoints(scheme.format);
  MQ_RETURN_IF_ERROR(CheckSize("zero points", quantized.zero_points.size(),
                               has_zero_points ? layout.num_params : 0, shape));
  std::vector<QParams> params(quantized.scales.size());
  for (size_t i = 0; i < params.size(); ++i) {
    params[i] = {quantized.scales[i] / quantized.global_scale,
                 has_zero_points ? quantized.zero_points[i] : 0};
  }
  const TensorCoder coder(scheme, layout, nullptr);
  std::vector<uint8_t> levels(values.size());
  coder.rows().Unpack(0, quantized.codes.data(), absl::MakeSpan(levels));
  coder.Dequantize(0, levels, AllSlots(layout), params, absl::MakeSpan(values));
  return values;
}

}  // namespace monoquant
