// A reader of tensors that are put together from chunks.

#ifndef MONOQUANT_FRONTENDS_DCP_ASSEMBLED_READER_H_
#define MONOQUANT_FRONTENDS_DCP_ASSEMBLED_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "frontends/dcp/chunked_tensor.h"
#include "ir/checkpoint.h"

namespace monoquant {

// The bytes of the chunks, which are numbered through all tensors. Thread-safe.
class ChunkStore {
 public:
  virtual ~ChunkStore() = default;

  // Reads bytes [offset, offset + dst.size()) of the contiguous form of a
  // chunk, which hold whole elements. Errors name the file.
  virtual absl::Status Read(size_t chunk, uint64_t offset,
                            absl::Span<uint8_t> dst) const = 0;

  // Where those bytes lie unchanged, if they do.
  virtual std::optional<FileExtent> Locate(size_t chunk) const = 0;
};

struct AssembledTensor {
  ChunkedTensor chunks;
  // The store's number of chunk 0.
  size_t first_chunk = 0;
};

// `tensors` is parallel to index.tensors. ValidateIndex's errors.
absl::StatusOr<std::unique_ptr<CheckpointReader>> MakeAssembledReader(
    CheckpointIndex index, std::vector<AssembledTensor> tensors,
    std::unique_ptr<const ChunkStore> store);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_ASSEMBLED_READER_H_
