// A tensor that is stored in chunks: boxes that fill it.

#ifndef MONOQUANT_FRONTENDS_DCP_CHUNKED_TENSOR_H_
#define MONOQUANT_FRONTENDS_DCP_CHUNKED_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "frontends/dcp/box_list.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

// What reading needs to know of a tensor that has more than one chunk. The last
// dimension counts units: the smallest number of elements that is a whole
// number of bytes. That is one, but for types below 8 bits.
struct ChunkLayout {
  explicit ChunkLayout(size_t rank) : boxes(rank) {}

  uint64_t unit_bytes = 1;
  Shape shape;
  BoxList boxes;  // by their offsets
  // Where the boxes [0, i] end in the outermost dimension, at most.
  std::vector<int64_t> ends;
};

// Says which bytes of which chunks make up a range of the tensor. Knows nothing
// of files.
class ChunkedTensor {
 public:
  // Reads bytes [offset, offset + dst.size()) of the contiguous form of a
  // chunk, which is named by its number in the list that Create got.
  using ReadChunk = std::function<absl::Status(size_t chunk, uint64_t offset,
                                               absl::Span<uint8_t> dst)>;

  // `boxes` are the chunks; empty ones are never read. CheckCover's errors;
  // Unimplemented if elements below 8 bits are cut inside of a byte.
  static absl::StatusOr<ChunkedTensor> Create(DType dtype, const Shape& shape,
                                              const BoxList& boxes);

  // The chunks that are not empty, by their offsets.
  absl::Span<const size_t> chunks() const { return chunks_; }

  // The chunk that is all of the tensor, if there is one.
  std::optional<size_t> OnlyChunk() const {
    if (chunks_.size() != 1) return std::nullopt;
    return chunks_[0];
  }

  // Reads bytes [first, first + dst.size()) of the contiguous tensor, which
  // exist and hold whole elements. Bytes that are adjacent in a chunk are read
  // at once.
  absl::Status Read(uint64_t first, absl::Span<uint8_t> dst,
                    const ReadChunk& read) const;

 private:
  ChunkedTensor() = default;

  std::vector<size_t> chunks_;
  // Null with fewer than two chunks.
  std::unique_ptr<const ChunkLayout> layout_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_CHUNKED_TENSOR_H_
