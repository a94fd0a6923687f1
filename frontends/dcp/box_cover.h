// Whether boxes fill a tensor like bricks a wall.

#ifndef MONOQUANT_FRONTENDS_DCP_BOX_COVER_H_
#define MONOQUANT_FRONTENDS_DCP_BOX_COVER_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/dcp/box_list.h"

namespace monoquant {

// Corners of all boxes of a tensor together, 2 to the number of dimensions that
// are cut for each box.
inline constexpr size_t kMaxBoxCorners = 2'097'152;

// Checks that every element of a tensor of this shape is in exactly one of the
// boxes, which are of its rank. Empty boxes count for nothing. DataLoss if a
// box reaches beyond the tensor, some overlap or there are holes; Unimplemented
// beyond kMaxBoxCorners. Errors name neither file nor tensor.
//
// Takes time that grows like sorting the corners, whatever the boxes are.
absl::Status CheckCover(absl::Span<const int64_t> shape, const BoxList& boxes);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_BOX_COVER_H_
