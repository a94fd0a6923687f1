// How the cover is checked: let f(x) be the number of boxes that hold x, and
// take its difference along every dimension in turn. What remains of a box is
// +1 or -1 at each of its corners and 0 elsewhere, so what remains of f is the
// sum of these over all boxes. A function that is 0 outside of some region is
// known by its differences; so f is 1 inside of the tensor and 0 outside
// exactly if the corners of the boxes add up to those of the tensor.

#include "frontends/dcp/box_cover.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Positions along a dimension at which boxes begin or end, numbered in order.
class Cuts {
 public:
  explicit Cuts(size_t dim) : dim_(dim) {}

  void Add(const Box& box) {
    positions_.push_back(box.offset[dim_]);
    positions_.push_back(box.offset[dim_] + box.size[dim_]);
  }
  void Finish() {
    Sort(positions_);
    positions_.erase(std::unique(positions_.begin(), positions_.end()),
                     positions_.end());
    while ((size_t{1} << bits_) < positions_.size()) ++bits_;
  }

  size_t dim() const { return dim_; }
  // Whether the outermost cuts are those of the tensor.
  bool Span(int64_t size) const {
    return positions_.front() == 0 && positions_.back() == size;
  }
  // Enough for any number.
  int bits() const { return bits_; }
  size_t NumberOf(int64_t position) const {
    return static_cast<size_t>(
        std::lower_bound(positions_.begin(), positions_.end(), position) -
        positions_.begin());
  }

 private:
  size_t dim_;
  int bits_ = 0;
  std::vector<int64_t> positions_;
};

// Appends the corners of a box: the numbers of its cuts, one behind the other,
// and the sign in the lowest bit.
void AppendCorners(const Box& box, bool negative, const std::vector<Cuts>& cuts,
                   std::vector<absl::uint128>* corners) {
  const size_t first = corners->size();
  corners->push_back(0);
  for (const Cuts& cut : cuts) {
    const size_t begin = cut.NumberOf(box.offset[cut.dim()]);
    const size_t end =
        cut.NumberOf(box.offset[cut.dim()] + box.size[cut.dim()]);
    // Every corner so far becomes two, of which the far one changes its sign.
    const size_t count = corners->size() - first;
    for (size_t i = 0; i < count; ++i) {
      const absl::uint128 sign = (*corners)[first + i] & 1;
      const absl::uint128 high = ((*corners)[first + i] >> 1) << cut.bits();
      (*corners)[first + i] = (high | begin) << 1 | sign;
      corners->push_back((high | end) << 1 | (sign ^ 1));
    }
  }
  if (!negative) return;
  for (size_t i = first; i < corners->size(); ++i) (*corners)[i] ^= 1;
}

// True if at every place there are as many positive as negative corners.
bool AddUpToNothing(std::vector<absl::uint128> corners) {
  Sort(corners);
  size_t i = 0;
  while (i < corners.size()) {
    const absl::uint128 place = corners[i] >> 1;
    int64_t sum = 0;
    for (; i < corners.size() && (corners[i] >> 1) == place; ++i) {
      sum += (corners[i] & 1) == 0 ? 1 : -1;
    }
    if (sum != 0) return false;
  }
  return true;
}

absl::Status CheckInside(absl::Span<const int64_t> shape, const Box& box) {
  for (size_t i = 0; i < shape.size(); ++i) {
    if (box.offset[i] >= 0 && box.size[i] >= 0 && box.offset[i] <= shape[i] &&
        box.size[i] <= shape[i] - box.offset[i]) {
      continue;
    }
    return DataLossError("its chunk ", ShapeToString(box.size), " at ",
                         ShapeToString(box.offset), " reaches beyond ",
                         ShapeToString(shape));
  }
  return absl::OkStatus();
}

uint64_t Volume(absl::Span<const int64_t> size) {
  uint64_t volume = 1;
  for (int64_t dim : size) volume *= static_cast<uint64_t>(dim);
  return volume;
}

}  // namespace

absl::Status CheckCover(absl::Span<const int64_t> shape, const BoxList& boxes) {
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(shape));
  Marks is_cut(shape.size(), false);
  uint64_t covered = 0;
  size_t count = 0;  // of boxes that are not empty
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box box = boxes[i];
    MQ_RETURN_IF_ERROR(CheckInside(shape, box));
    if (box.IsEmpty()) continue;
    ++count;
    for (size_t dim = 0; dim < shape.size(); ++dim) {
      if (box.size[dim] != shape[dim]) is_cut[dim] = true;
    }
    // Inside of the tensor, so the volume does not overflow; nor does the sum,
    // which is at most twice the number of elements.
    covered += Volume(box.size);
    if (covered > elements) {
      return DataLossError(
          "its chunks overlap: together they have more elements than ",
          ShapeToString(shape));
    }
  }
  if (covered < elements) {
    return DataLossError("its ", count, " chunks leave holes: they have ",
                         covered, " of the ", elements, " elements of ",
                         ShapeToString(shape));
  }
  if (count <= 1) return absl::OkStatus();

  std::vector<Cuts> cuts;
  size_t corners_per_box = 1;
  for (size_t dim = 0; dim < shape.size(); ++dim) {
    if (!is_cut[dim]) continue;
    corners_per_box *= 2;
    if (count > kMaxBoxCorners / corners_per_box) {
      return UnimplementedError(
          "it is cut into ", count, " chunks along ", cuts.size() + 1,
          " dimensions or more, which exceeds the limit of ", kMaxBoxCorners,
          " corners");
    }
    cuts.emplace_back(dim);
  }
  const auto overlap_and_hole = [&] {
    return DataLossError("its chunks overlap in one place of ",
                         ShapeToString(shape), " and leave holes in another");
  };
  // With c dimensions cut, there are at most 2^(21-c) boxes with 2^(22-c) cuts
  // each way, so that a place takes at most c * (22-c) < 127 bits.
  static_assert(kMaxBoxCorners == size_t{1} << 21);
  std::vector<absl::uint128> corners;
  corners.reserve((count + 1) * corners_per_box);
  for (Cuts& cut : cuts) {
    for (size_t i = 0; i < boxes.size(); ++i) {
      if (!boxes[i].IsEmpty()) cut.Add(boxes[i]);
    }
    cut.Finish();
    if (!cut.Span(shape[cut.dim()])) return overlap_and_hole();
  }
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (boxes[i].IsEmpty()) continue;
    AppendCorners(boxes[i], /*negative=*/false, cuts, &corners);
  }
  const Shape origin(shape.size(), 0);
  AppendCorners({origin, shape}, /*negative=*/true, cuts, &corners);
  return AddUpToNothing(std::move(corners)) ? absl::OkStatus()
                                            : overlap_and_hole();
}

}  // namespace monoquant
