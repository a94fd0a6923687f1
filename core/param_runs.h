// Cuts a range of a tensor's elements into runs that share parameters.

#ifndef MONOQUANT_CORE_PARAM_RUNS_H_
#define MONOQUANT_CORE_PARAM_RUNS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ir/quant_scheme.h"

namespace monoquant {

// A range of parameter sets.
struct SlotRange {
  uint64_t first = 0;
  uint64_t count = 0;
};

// SlotsOf where parameters are those of blocks: all those of the rows, or of
// a part of one.
inline SlotRange BlocksOf(const ParamLayout& layout, uint64_t first,
                          uint64_t last) {
  const uint64_t per_row = (layout.row - 1) / layout.segment + 1;
  const uint64_t first_row = first / layout.row;
  const uint64_t last_row = last / layout.row;
  uint64_t begin = first_row / layout.block_rows * per_row;
  uint64_t end = last_row / layout.block_rows * per_row;
  if (first_row == last_row) {
    begin += first % layout.row / layout.segment;
    end += last % layout.row / layout.segment + 1;
  } else {
    end += per_row;
  }
  return {begin, end - begin};
}

// The parameter sets that elements [first, first + count) belong to. All of
// them if the range goes over the end of a cycle (ParamLayout).
inline SlotRange SlotsOf(const ParamLayout& layout, uint64_t first,
                         uint64_t count) {
  if (count == 0) return {};
  if (layout.block_rows != 0) return BlocksOf(layout, first, first + count - 1);
  const uint64_t begin = first / layout.segment;
  const uint64_t end = (first + count - 1) / layout.segment + 1;
  const uint64_t slot = begin % layout.num_params;
  if (end - begin > layout.num_params - slot) return {0, layout.num_params};
  return {slot, end - begin};
}

// Calls fn(slot, run, offset, n) for consecutive parts of the elements
// [first, first + count): the n elements from first + offset on, of which the
// i-th belongs to the parameters slot + i / run. Parts are as large as that
// allows, so groups of 32 cost one call for many groups.
template <typename Fn>
void ForEachParamRun(const ParamLayout& layout, uint64_t first, uint64_t count,
                     Fn fn) {
  if (layout.block_rows != 0) {
    // To the end of a block, then to the end of the row.
    for (uint64_t done = 0; done < count;) {
      const uint64_t position = first + done;
      const uint64_t column = position % layout.row;
      const uint64_t in_segment = column % layout.segment;
      const uint64_t left_in_row = layout.row - column;
      uint64_t n = std::min(count - done, left_in_row);
      if (in_segment != 0) n = std::min(n, layout.segment - in_segment);
      fn(BlocksOf(layout, position, position).first,
         static_cast<size_t>(std::min(layout.segment, n)),
         static_cast<size_t>(done), static_cast<size_t>(n));
      done += n;
    }
    return;
  }
  for (uint64_t done = 0; done < count;) {
    const uint64_t position = first + done;
    const uint64_t segment = position / layout.segment;
    const uint64_t in_segment = position % layout.segment;
    const uint64_t slot = segment % layout.num_params;
    const uint64_t left = count - done;
    uint64_t n = std::min(layout.segment - in_segment, left);
    if (in_segment == 0 && n == layout.segment) {
      // Whole segments, up to the end of the cycle.
      n *= std::min(left / layout.segment, layout.num_params - slot);
    }
    fn(slot, static_cast<size_t>(std::min(layout.segment, n)),
       static_cast<size_t>(done), static_cast<size_t>(n));
    done += n;
  }
}

}  // namespace monoquant

#endif  // MONOQUANT_CORE_PARAM_RUNS_H_
