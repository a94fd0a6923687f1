// Cuts the elements of a tensor into pieces, by arithmetic alone.

#ifndef MONOQUANT_CORE_CUTS_H_
#define MONOQUANT_CORE_CUTS_H_

#include <algorithm>
#include <cstdint>

namespace monoquant {

struct ElementRange {
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - begin; }
};

// `total` elements are a row of blocks. A piece is as many whole blocks as fit
// into `max` elements; if a block does not fit, it is cut by itself, at
// multiples of `unit` from its beginning, and no piece reaches into the next.
class Cuts {
 public:
  // No pieces.
  Cuts() = default;

  // `block` divides `total`; `block` or `unit` is at most `max`; none but
  // `total` is 0.
  Cuts(uint64_t total, uint64_t block, uint64_t unit, uint64_t max)
      : total_(total) {
    if (block <= max) {
      // Pieces of whole blocks: the same as one long block cut at blocks.
      block_ = std::max<uint64_t>(total, 1);
      step_ = max / block * block;
    } else {
      block_ = block;
      step_ = max / unit * unit;
    }
    step_ = std::min(step_, block_);
    per_block_ = (block_ - 1) / step_ + 1;
  }

  uint64_t size() const { return total_ / block_ * per_block_; }

  // Piece `i` of size(): in order, without gaps.
  ElementRange operator[](uint64_t i) const {
    const uint64_t block = i / per_block_ * block_;
    const uint64_t begin = i % per_block_ * step_;
    return {block + begin, block + std::min(begin + step_, block_)};
  }

  // The most elements that a piece has.
  uint64_t largest() const { return size() == 0 ? 0 : step_; }

 private:
  uint64_t total_ = 0;
  uint64_t block_ = 1;
  uint64_t step_ = 1;
  uint64_t per_block_ = 1;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CUTS_H_
