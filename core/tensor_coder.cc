#include "core/tensor_coder.h"

#include <cstddef>

#include "core/kernels/kernels.h"
#include "core/registry.h"

namespace monoquant {
namespace {

// The parameters of `count` elements in runs of `run`, the first of which has
// those of `slot`.
absl::Span<const QParams> ParamsOf(absl::Span<const QParams> params,
                                   const SlotRange& slots, uint64_t slot,
                                   size_t run, size_t count) {
  return params.subspan(static_cast<size_t>(slot - slots.first),
                        (count - 1) / run + 1);
}

}  // namespace

TensorCoder::TensorCoder(const QuantScheme& scheme, const ParamLayout& layout,
                         const AlgorithmRow* algorithm,
                         const CodePacking& packing)
    : layout_(layout),
      grid_(GridOf(DefaultRegistry().GetCodec(scheme.format), scheme)),
      rows_(DefaultRegistry().GetCodec(scheme.format), layout.row, packing),
      algorithm_(algorithm) {
  grid_.zero_points_above_lowest = packing.zero_points_less_1;
}

void TensorCoder::Observe(uint64_t first, absl::Span<const float> values,
                          const SlotRange& slots, Observer& observer) const {
  ForEachParamRun(layout_, first, values.size(),
                  [&](uint64_t slot, size_t run, size_t offset, size_t count) {
                    observer.Observe(static_cast<size_t>(slot - slots.first),
                                     run, values.subspan(offset, count));
                  });
}

void TensorCoder::Quantize(uint64_t first, absl::Span<const float> values,
                           const SlotRange& slots,
                           absl::Span<const QParams> params,
                           absl::Span<uint8_t> levels,
                           ErrorStats* errors) const {
  ForEachParamRun(layout_, first, values.size(),
                  [&](uint64_t slot, size_t run, size_t offset, size_t count) {
                    algorithm_->quantize(
                        grid_, ParamsOf(params, slots, slot, run, count), run,
                        values.subspan(offset, count),
                        levels.subspan(offset, count), errors);
                  });
}

void TensorCoder::Dequantize(uint64_t first, absl::Span<const uint8_t> levels,
                             const SlotRange& slots,
                             absl::Span<const QParams> params,
                             absl::Span<float> values) const {
  ForEachParamRun(layout_, first, levels.size(),
                  [&](uint64_t slot, size_t run, size_t offset, size_t count) {
                    ActiveKernels().levels_to_values(
                        grid_.kind,
                        ParamsOf(params, slots, slot, run, count).data(), run,
                        &levels[offset], count, &values[offset]);
                  });
}

void TensorCoder::DequantizeEach(absl::Span<const uint8_t> levels,
                                 absl::Span<const QParams> params,
                                 absl::Span<float> values) const {
  ActiveKernels().levels_to_values(grid_.kind, params.data(), /*run=*/1,
                                   levels.data(), levels.size(), values.data());
}

}  // namespace monoquant
