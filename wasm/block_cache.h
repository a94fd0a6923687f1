// Serves small reads from a few cached blocks. A read of the host costs about a
// millisecond in a browser, however small it is, and opening a zip archive does
// one for every local header.

#ifndef MONOQUANT_WASM_BLOCK_CACHE_H_
#define MONOQUANT_WASM_BLOCK_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace monoquant {

// Shared by the sources of one checkpoint, so that its size does not grow with
// the number of shards. Not thread-safe.
class BlockCache {
 public:
  static constexpr uint64_t kBlockSize = 64 << 10;
  static constexpr size_t kMaxBlocks = 16;

  // Reads from the host: source, offset, destination.
  using Fetch =
      std::function<absl::Status(uint32_t, uint64_t, absl::Span<uint8_t>)>;

  explicit BlockCache(Fetch fetch) : fetch_(std::move(fetch)) {}

  // Fills `dst` from `offset` on of a source of `source_size` bytes, inside
  // which the range must lie. Reads of a block or more are not cached.
  absl::Status Read(uint32_t source, uint64_t source_size, uint64_t offset,
                    absl::Span<uint8_t> dst);

 private:
  struct Block {
    uint32_t source = 0;
    uint64_t begin = 0;
    uint64_t last_use = 0;
    std::vector<uint8_t> bytes;
  };

  absl::StatusOr<const Block*> Find(uint32_t source, uint64_t source_size,
                                    uint64_t begin);

  Fetch fetch_;
  std::vector<Block> blocks_;
  uint64_t clock_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_BLOCK_CACHE_H_
