// Quantizes and decodes ranges of one tensor's elements.
//
// The one place where layout, observer, algorithm and codec meet: jobs, the
// dequantizing reader and QuantizeTensor are all built on it.

#ifndef MONOQUANT_CORE_TENSOR_CODER_H_
#define MONOQUANT_CORE_TENSOR_CODER_H_

#include <cstdint>

#include "absl/types/span.h"
#include "core/algorithms/algorithm.h"
#include "core/code_rows.h"
#include "core/error_stats.h"
#include "core/observers/observer.h"
#include "core/param_runs.h"
#include "core/qparams.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// For one tensor whose scheme has scales. Plain data, thread-safe.
//
// The functions take the elements from `first` on. Parameters and slots are
// those of `slots`, a range that has all that the elements belong to (SlotsOf):
// params[0] is that of slot slots.first.
class TensorCoder {
 public:
  // `algorithm` may be nullptr where nothing is quantized.
  TensorCoder(const QuantScheme& scheme, const ParamLayout& layout,
              const AlgorithmRow* algorithm, const CodePacking& packing = {});

  const CodeRows& rows() const { return rows_; }
  const LevelGrid& grid() const { return grid_; }
  const ParamLayout& layout() const { return layout_; }

  void Observe(uint64_t first, absl::Span<const float> values,
               const SlotRange& slots, Observer& observer) const;

  // Compares the result with the values in `errors`, if that is not null.
  void Quantize(uint64_t first, absl::Span<const float> values,
                const SlotRange& slots, absl::Span<const QParams> params,
                absl::Span<uint8_t> levels, ErrorStats* errors) const;

  void Dequantize(uint64_t first, absl::Span<const uint8_t> levels,
                  const SlotRange& slots, absl::Span<const QParams> params,
                  absl::Span<float> values) const;

  // Dequantize with parameters for each element by itself.
  void DequantizeEach(absl::Span<const uint8_t> levels,
                      absl::Span<const QParams> params,
                      absl::Span<float> values) const;

 private:
  ParamLayout layout_;
  LevelGrid grid_;
  CodeRows rows_;
  const AlgorithmRow* algorithm_;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_TENSOR_CODER_H_
