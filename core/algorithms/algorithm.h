// How codes are chosen once scale and zero point are known.

#ifndef MONOQUANT_CORE_ALGORITHMS_ALGORITHM_H_
#define MONOQUANT_CORE_ALGORITHMS_ALGORITHM_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/error_stats.h"
#include "core/qparams.h"

namespace monoquant {

struct AlgorithmRow {
  absl::string_view name;  // as recipes spell it
  absl::string_view description;

  // levels[i] is the level for values[i] under the parameters params[i / run],
  // as a byte (core/codecs/codec.h), within grid.qmin .. grid.qmax. Each level
  // depends on its own value and parameters only, so any cut gives the same.
  // `levels` has the size of `values`, `params` one element for each run. What
  // the levels stand for is compared with the values in `errors`, if that is
  // not null.
  void (*quantize)(const LevelGrid& grid, absl::Span<const QParams> params,
                   size_t run, absl::Span<const float> values,
                   absl::Span<uint8_t> levels, ErrorStats* errors);
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_ALGORITHMS_ALGORITHM_H_
