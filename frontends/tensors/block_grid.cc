#include "frontends/tensors/block_grid.h"

#include <algorithm>

namespace monoquant {

BlockGrid::BlockGrid(absl::Span<const int64_t> shape,
                     absl::Span<const int64_t> block) {
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto size = static_cast<uint64_t>(shape[i]);
    Dim dim = {size, std::min(static_cast<uint64_t>(block[i]), size), 0};
    // Empty tensors have no blocks; this keeps the arithmetic defined.
    dim.block = std::max<uint64_t>(dim.block, 1);
    dim.count = size / dim.block + (size % dim.block != 0 ? 1 : 0);
    if (size == 1) continue;
    Dim* outer = dims_.empty() ? nullptr : &dims_.back();
    const bool is_whole = dim.count == 1;
    const bool is_single = dim.block == 1;
    if (outer != nullptr && (is_whole || (is_single && outer->block == 1))) {
      outer->size *= dim.size;
      outer->block *= is_whole ? dim.size : 1;
      outer->count *= dim.count;
    } else {
      dims_.push_back(dim);
    }
  }
  if (dims_.empty()) dims_.push_back({1, 1, 1});
}

BlockGrid BlockGrid::ForAxis(absl::Span<const int64_t> shape, size_t axis) {
  std::vector<int64_t> block(shape.begin(), shape.end());
  for (int64_t& size : block) size = std::max<int64_t>(size, 1);
  block[axis] = 1;
  return BlockGrid(shape, block);
}

uint64_t BlockGrid::blocks() const {
  uint64_t blocks = 1;
  for (const Dim& dim : dims_) blocks *= dim.count;
  return blocks;
}

BlockGrid::Run BlockGrid::At(uint64_t element) const {
  const Dim& last = dims_.back();
  const uint64_t column = element % last.size;
  Run run;
  run.block = column / last.block;
  run.row_length = last.size - column;
  run.length = std::min(last.block - column % last.block, run.row_length);
  run.block_length = last.block;
  uint64_t rest = element / last.size;
  uint64_t stride = last.count;
  for (size_t i = dims_.size() - 1; i-- > 0;) {
    const Dim& dim = dims_[i];
    run.block += rest % dim.size / dim.block * stride;
    rest /= dim.size;
    stride *= dim.count;
  }
  return run;
}

}  // namespace monoquant
