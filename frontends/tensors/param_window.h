// Parameters of blocks, loaded in stretches while a tensor is decoded.

#ifndef MONOQUANT_FRONTENDS_TENSORS_PARAM_WINDOW_H_
#define MONOQUANT_FRONTENDS_TENSORS_PARAM_WINDOW_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/tensors/block_grid.h"

namespace monoquant {

// Holds a bounded stretch of an array of parameters that lies in a file, moved
// to where the next one is needed. Elements are decoded in order, so the
// parameters of a row are met one after another, and few rows begin outside of
// the window that the row before them ended in.
template <typename Param>
class ParamWindow {
 public:
  // Fills a span with the parameters from number `first` on.
  using Load =
      std::function<absl::Status(uint64_t first, absl::Span<Param> dst)>;

  static constexpr uint64_t kMaxParams = 4096;

  // Of `size` parameters in total.
  ParamWindow(uint64_t size, Load load) : size_(size), load_(std::move(load)) {}

  // The parameters from `index` on, at least one, valid until the next call.
  // `elements` are still to be decoded: no more than that will be needed.
  absl::Status Get(uint64_t index, uint64_t elements,
                   absl::Span<const Param>* params) {
    if (index < first_ || index - first_ >= params_.size()) {
      const uint64_t count = std::min({size_ - index, elements, kMaxParams});
      params_.resize(static_cast<size_t>(count));
      first_ = index;
      absl::Status loaded = load_(first_, absl::MakeSpan(params_));
      if (!loaded.ok()) {
        params_.clear();
        return loaded;
      }
    }
    *params = absl::MakeConstSpan(params_).subspan(
        static_cast<size_t>(index - first_));
    return absl::OkStatus();
  }

 private:
  const uint64_t size_;
  const Load load_;
  uint64_t first_ = 0;
  std::vector<Param> params_;
};

// Calls visit(param, begin, end) for elements [first + begin, first + end) of
// every block that elements [first, first + count) lie in, in order. `window`
// has the parameters of `grid`.
template <typename Param, typename Visit>
absl::Status ForEachBlock(const BlockGrid& grid, uint64_t first, uint64_t count,
                          ParamWindow<Param>* window, Visit visit) {
  for (uint64_t i = 0; i < count;) {
    BlockGrid::Run run = grid.At(first + i);
    absl::Span<const Param> params;
    absl::Status got = window->Get(run.block, count - i, &params);
    if (!got.ok()) return got;
    const uint64_t row_end = i + std::min(run.row_length, count - i);
    for (const Param& param : params) {
      const uint64_t end = i + std::min(run.length, row_end - i);
      visit(param, i, end);
      i = end;
      if (i == row_end) break;
      run.length = run.block_length;
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_PARAM_WINDOW_H_
