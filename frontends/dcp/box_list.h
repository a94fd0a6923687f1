// Many boxes of one rank.

#ifndef MONOQUANT_FRONTENDS_DCP_BOX_LIST_H_
#define MONOQUANT_FRONTENDS_DCP_BOX_LIST_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace monoquant {

// A part of a tensor: elements [offset[i], offset[i] + size[i]) in every
// dimension i. A view of the list's numbers.
struct Box {
  absl::Span<const int64_t> offset;
  absl::Span<const int64_t> size;

  bool IsEmpty() const {
    return std::find(size.begin(), size.end(), 0) != size.end();
  }
};

// Keeps the numbers of all boxes in one array: a checkpoint may have a million
// boxes of two or three dimensions.
class BoxList {
 public:
  explicit BoxList(size_t rank) : rank_(rank) {}

  size_t rank() const { return rank_; }
  size_t size() const { return size_; }

  // Both spans have rank() numbers.
  void Add(absl::Span<const int64_t> offset, absl::Span<const int64_t> size) {
    numbers_.insert(numbers_.end(), offset.begin(), offset.end());
    numbers_.insert(numbers_.end(), size.begin(), size.end());
    ++size_;
  }

  Box operator[](size_t i) const {
    const absl::Span<const int64_t> numbers =
        absl::MakeConstSpan(numbers_).subspan(2 * rank_ * i, 2 * rank_);
    return {numbers.first(rank_), numbers.last(rank_)};
  }

 private:
  size_t rank_;
  size_t size_ = 0;  // boxes of rank 0 have no numbers to be counted by
  std::vector<int64_t> numbers_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_BOX_LIST_H_
