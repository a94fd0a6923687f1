#include "wasm/block_cache.h"

#include <algorithm>
#include <cstring>

#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<const BlockCache::Block*> BlockCache::Find(uint32_t source,
                                                          uint64_t source_size,
                                                          uint64_t begin) {
  ++clock_;
  for (Block& block : blocks_) {
    if (block.source == source && block.begin == begin) {
      block.last_use = clock_;
      return &block;
    }
  }
  std::vector<uint8_t> bytes(std::min(kBlockSize, source_size - begin));
  MQ_RETURN_IF_ERROR(fetch_(source, begin, absl::MakeSpan(bytes)));
  Block* slot;
  if (blocks_.size() < kMaxBlocks) {
    slot = &blocks_.emplace_back();
  } else {
    slot = &*std::min_element(
        blocks_.begin(), blocks_.end(),
        [](const Block& a, const Block& b) { return a.last_use < b.last_use; });
  }
  *slot = Block{source, begin, clock_, std::move(bytes)};
  return slot;
}

absl::Status BlockCache::Read(uint32_t source, uint64_t source_size,
                              uint64_t offset, absl::Span<uint8_t> dst) {
  if (dst.size() >= kBlockSize) return fetch_(source, offset, dst);
  while (!dst.empty()) {
    const uint64_t begin = offset - offset % kBlockSize;
    MQ_ASSIGN_OR_RETURN(const Block* block, Find(source, source_size, begin));
    const size_t from = static_cast<size_t>(offset - begin);
    const size_t count = std::min(dst.size(), block->bytes.size() - from);
    std::memcpy(dst.data(), block->bytes.data() + from, count);
    dst.remove_prefix(count);
    offset += count;
  }
  return absl::OkStatus();
}

}  // namespace monoquant
