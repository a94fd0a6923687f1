// Chunks of which each is a torch.save archive of its own, in a slice of a
// file.

#ifndef MONOQUANT_FRONTENDS_DCP_SLICE_STORE_H_
#define MONOQUANT_FRONTENDS_DCP_SLICE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "frontends/dcp/assembled_reader.h"
#include "frontends/dcp/file_pool.h"
#include "frontends/dcp/lru_cache.h"
#include "frontends/frontend.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"

namespace monoquant {

// Where an archive lies, inside of its file.
struct ArchiveSlice {
  size_t file;  // in the pool
  uint64_t offset;
  uint64_t length;
};

// Opens archives when they are read first and keeps the last of them open,
// within kMaxOpenBytes: opening one again means to check it again.
class SliceStore : public ChunkStore {
 public:
  // What open archives may take beside their tensors' bytes. That is some 1.5
  // KiB for one of torch's.
  static constexpr uint64_t kMaxOpenBytes = uint64_t{64} << 20;

  SliceStore(std::shared_ptr<const FilePool> files, const OpenOptions& options);

  // Adds the next chunk: a tensor of this dtype and shape.
  void Add(const ArchiveSlice& slice, DType dtype,
           absl::Span<const int64_t> shape);

  absl::Status Read(size_t chunk, uint64_t offset,
                    absl::Span<uint8_t> dst) const override;
  std::optional<FileExtent> Locate(size_t chunk) const override;

 private:
  struct Chunk {
    ArchiveSlice slice;
    DType dtype;
    uint32_t rank;
    size_t shape;  // its place in sizes_
  };

  absl::Span<const int64_t> ShapeOf(const Chunk& chunk) const {
    return absl::MakeConstSpan(sizes_).subspan(chunk.shape, chunk.rank);
  }
  absl::StatusOr<std::shared_ptr<CheckpointReader>> Get(size_t chunk) const;
  absl::StatusOr<std::shared_ptr<CheckpointReader>> Open(
      const Chunk& chunk) const;

  const std::shared_ptr<const FilePool> files_;
  OpenOptions options_;
  std::vector<Chunk> chunks_;
  std::vector<int64_t> sizes_;  // the shapes of all chunks
  mutable LruCache<CheckpointReader> open_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_SLICE_STORE_H_
