// Tensors that fall into blocks with parameters of their own.

#ifndef MONOQUANT_FRONTENDS_TENSORS_BLOCK_GRID_H_
#define MONOQUANT_FRONTENDS_TENSORS_BLOCK_GRID_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace monoquant {

// Cuts a tensor into blocks of equal size along every dimension; the last one
// along a dimension may be smaller. One block a tensor, one for each index of
// an axis and tiles of 128 x 128 are all of this kind. Blocks are numbered in
// row-major order.
class BlockGrid {
 public:
  // One block.
  explicit BlockGrid(uint64_t elements) : dims_{{elements, elements, 1}} {}

  // Blocks of `block`, at least 1 in every dimension, on a tensor of `shape`,
  // whose number of elements fits an int64_t. Ranks are equal.
  BlockGrid(absl::Span<const int64_t> shape, absl::Span<const int64_t> block);

  // One block for each index along `axis`.
  static BlockGrid ForAxis(absl::Span<const int64_t> shape, size_t axis);

  uint64_t blocks() const;

  // The elements from one on, in row-major order. Along a row blocks follow
  // each other: `block` has `length` elements, the next `block_length` and so
  // on, as long as the row goes.
  struct Run {
    uint64_t block;
    uint64_t length;
    uint64_t block_length;
    uint64_t row_length;
  };
  Run At(uint64_t element) const;

 private:
  struct Dim {
    uint64_t size;
    uint64_t block;
    uint64_t count;  // of blocks
  };

  // Outermost first, in the fewest dimensions that describe the grid; at least
  // one.
  std::vector<Dim> dims_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_BLOCK_GRID_H_
