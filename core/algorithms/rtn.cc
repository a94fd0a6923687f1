#include "core/algorithms/rtn.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/error_stats.h"
#include "core/kernels/kernels.h"

namespace monoquant {
namespace {

// The errors of levels that are there, a run at a time.
void AddErrors(const LevelGrid& grid, const QParams* params, size_t run,
               size_t in_run, absl::Span<const float> values,
               const uint8_t* levels, ErrorStats& errors) {
  float decoded[kErrorBlock];
  for (size_t done = 0; done < values.size(); ++params) {
    const size_t size = std::min(run - in_run, values.size() - done);
    ActiveKernels().levels_to_values(grid.kind, params, size, levels + done,
                                     size, decoded + done);
    done += size;
    in_run = 0;
  }
  errors.Add(values, absl::MakeConstSpan(decoded, values.size()));
}

void Quantize(const LevelGrid& grid, absl::Span<const QParams> params,
              size_t run, absl::Span<const float> values,
              absl::Span<uint8_t> levels, ErrorStats* errors) {
  const Kernels& kernels = ActiveKernels();
  const bool in_one_go = run % kLanes == 0 || values.size() <= run;
  if (errors == nullptr || !in_one_go) {
    kernels.round_to_levels(grid, params.data(), run, values.data(),
                            values.size(), levels.data());
    if (errors == nullptr) return;
  }
  ErrorSums sums;
  size_t summed = 0;
  for (size_t i = 0; i < values.size(); i += kErrorBlock) {
    const absl::Span<const float> block = values.subspan(i, kErrorBlock);
    const QParams* first = &params[i / run];
    const size_t in_run = i % run;
    if (in_one_go &&
        kernels.round_and_add_errors(grid, first, run, in_run, block.data(),
                                     block.size(), &levels[i], &sums)) {
      summed += block.size();
    } else {
      AddErrors(grid, first, run, in_run, block, &levels[i], *errors);
    }
  }
  errors->AddSums(sums, summed);
}

}  // namespace

const AlgorithmRow kRoundToNearest = {"rtn", "round to nearest, ties to even",
                                      Quantize};

}  // namespace monoquant
