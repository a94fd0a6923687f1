// The CRC-32 that zip archives and .mqir files use (polynomial 0x04C11DB7,
// reflected, as in zlib).

#ifndef MONOQUANT_IR_CRC32_H_
#define MONOQUANT_IR_CRC32_H_

#include <cstdint>

#include "absl/types/span.h"

namespace monoquant {

// The checksum of no bytes.
inline constexpr uint32_t kEmptyCrc32 = 0;

// The checksum of `bytes` after bytes whose checksum is `crc`.
uint32_t ExtendCrc32(uint32_t crc, absl::Span<const uint8_t> bytes);

inline uint32_t Crc32(absl::Span<const uint8_t> bytes) {
  return ExtendCrc32(kEmptyCrc32, bytes);
}

// The checksum of A followed by B, from theirs and the size of B. So pieces can
// be summed in any order.
uint32_t CombineCrc32(uint32_t crc_a, uint32_t crc_b, uint64_t size_b);

}  // namespace monoquant

#endif  // MONOQUANT_IR_CRC32_H_
