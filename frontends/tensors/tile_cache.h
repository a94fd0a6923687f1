// Remembers the last few pieces of tensors that were expensive to gather.
//
// The elements of a row of a transposed view lie far apart in the file, those
// of a column side by side. Who reads such a tensor row by row would read a few
// bytes at a time; gathering many rows at once reads longer runs.

#ifndef MONOQUANT_FRONTENDS_TENSORS_TILE_CACHE_H_
#define MONOQUANT_FRONTENDS_TENSORS_TILE_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace monoquant {

// Thread-safe. Holds at most kSlots tiles of kTileBytes.
class TileCache {
 public:
  static constexpr uint64_t kTileBytes = 8 << 20;
  static constexpr size_t kSlots = 4;

  using Tile = std::shared_ptr<const std::vector<uint8_t>>;
  using Fill = std::function<absl::Status(absl::Span<uint8_t> dst)>;

  // Tile number `tile` of tensor `tensor`, of `size` bytes; filled by `fill` if
  // it is not at hand.
  absl::StatusOr<Tile> Get(size_t tensor, uint64_t tile, size_t size,
                           const Fill& fill);

 private:
  struct Slot {
    size_t tensor = 0;
    uint64_t tile = 0;
    Tile bytes;  // null while empty
  };

  std::mutex mutex_;
  std::array<Slot, kSlots> slots_;
  size_t oldest_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_TILE_CACHE_H_
