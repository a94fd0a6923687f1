#include "core/algorithms/rtn.h"

#include <cstdint>

#include "core/kernels/kernels.h"

namespace monoquant {
namespace {

void Quantize(const LevelGrid& grid, absl::Span<const QParams> params,
              size_t run, absl::Span<const float> values,
              absl::Span<uint8_t> levels) {
  ActiveKernels().round_to_levels(grid, params.data(), run, values.data(),
                                  values.size(), levels.data());
}

}  // namespace

const AlgorithmRow kRoundToNearest = {"rtn", "round to nearest, ties to even",
                                      Quantize};

}  // namespace monoquant
