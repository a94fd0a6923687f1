#include "ir/crc32.h"

#include <algorithm>
#include <cstddef>

#include "zlib.h"

namespace monoquant {

uint32_t ExtendCrc32(uint32_t crc, absl::Span<const uint8_t> bytes) {
  // zlib counts in 32 bits.
  constexpr size_t kMaxPiece = size_t{1} << 30;
  while (!bytes.empty()) {
    const absl::Span<const uint8_t> piece = bytes.subspan(0, kMaxPiece);
    crc = static_cast<uint32_t>(
        crc32(crc, piece.data(), static_cast<uInt>(piece.size())));
    bytes.remove_prefix(piece.size());
  }
  return crc;
}

uint32_t CombineCrc32(uint32_t crc_a, uint32_t crc_b, uint64_t size_b) {
  // zlib takes the size as a signed integer that has 32 bits in some builds.
  // Appending zeros is linear in their checksum, so a size can be cut:
  // combining with 0 appends that many zero bytes and adds nothing.
  constexpr uint64_t kMaxPiece = uint64_t{1} << 30;
  while (size_b > kMaxPiece) {
    crc_a = static_cast<uint32_t>(
        crc32_combine(crc_a, 0, static_cast<z_off_t>(kMaxPiece)));
    size_b -= kMaxPiece;
  }
  return static_cast<uint32_t>(
      crc32_combine(crc_a, crc_b, static_cast<z_off_t>(size_b)));
}

}  // namespace monoquant
