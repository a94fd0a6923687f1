#include "frontends/tensors/tile_cache.h"

#include <utility>

#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<TileCache::Tile> TileCache::Get(size_t tensor, uint64_t tile,
                                               size_t size, const Fill& fill) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const Slot& slot : slots_) {
      if (slot.bytes != nullptr && slot.tensor == tensor && slot.tile == tile) {
        return slot.bytes;
      }
    }
  }
  // Without the lock, so that threads that read different tensors do not wait
  // for each other.
  auto bytes = std::make_shared<std::vector<uint8_t>>(size);
  MQ_RETURN_IF_ERROR(fill(absl::MakeSpan(*bytes)));
  std::lock_guard<std::mutex> lock(mutex_);
  slots_[oldest_] = {tensor, tile, bytes};
  oldest_ = (oldest_ + 1) % kSlots;
  return Tile(std::move(bytes));
}

}  // namespace monoquant
