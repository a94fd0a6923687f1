// Views of a storage: which of its bytes make up a tensor, and in which order.

#ifndef MONOQUANT_FRONTENDS_TENSORS_STRIDED_H_
#define MONOQUANT_FRONTENDS_TENSORS_STRIDED_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace monoquant {

// A view whose bounds have been checked.
struct StridedView {
  struct Dim {
    uint64_t size;
    uint64_t stride;  // bytes; 0 for an expanded dimension

    friend bool operator==(const Dim& a, const Dim& b) {
      return a.size == b.size && a.stride == b.stride;
    }
  };

  uint64_t item_size = 1;  // bytes of an element
  uint64_t offset = 0;     // byte of the first element in the storage
  uint64_t elements = 1;
  // Outermost first; in the fewest dimensions that describe the view, none of
  // size 1. A contiguous view has one whose stride is item_size, or none. Views
  // of the same elements in the same order are equal.
  std::vector<Dim> dims;

  bool IsContiguous() const {
    return elements <= 1 || (dims.size() == 1 && dims[0].stride == item_size);
  }
};

// The view of torch's `offset`, `size` and `stride`, which count in elements
// of `item_size` bytes, on a storage of `storage_bytes`. DataLoss, without a
// name, if any element lies outside of it, if a number is negative or
// overflows, or if the elements are so many times those stored that the file is
// meant to burst something ("expand bombs").
absl::StatusOr<StridedView> MakeStridedView(uint64_t item_size, uint64_t offset,
                                            absl::Span<const int64_t> size,
                                            absl::Span<const int64_t> stride,
                                            uint64_t storage_bytes);

// Fills a span with the bytes of the storage from `offset` on.
using StorageReader =
    std::function<absl::Status(uint64_t offset, absl::Span<uint8_t> dst)>;

// Writes elements [first, first + count) of the view, in row-major order, to
// `dst`, which has room for exactly these. The storage is read in pieces of at
// most 1 MiB, in which what is needed lies close together, whatever the order
// of the dimensions; contiguous runs go straight to `dst`.
absl::Status ReadStrided(const StridedView& view, uint64_t first,
                         uint64_t count, const StorageReader& read,
                         absl::Span<uint8_t> dst);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_STRIDED_H_
