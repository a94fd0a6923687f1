// For formats whose levels are stored two a byte, the first in the lower half.

#ifndef MONOQUANT_CORE_CODECS_NIBBLE_LEVELS_H_
#define MONOQUANT_CORE_CODECS_NIBBLE_LEVELS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/kernels/kernels.h"

namespace monoquant {

// The lower four bits of each level.
inline void PackNibbles(absl::Span<const uint8_t> levels, uint8_t* bytes) {
  const size_t even = levels.size() / 2 * 2;
  ActiveKernels().pack_nibbles(levels.data(), even, bytes);
  if (even != levels.size()) bytes[even / 2] = levels[even] & 15;
}

// The upper bits of a level are those of a sign, or 0.
template <bool kSigned>
void UnpackNibbles(const uint8_t* bytes, absl::Span<uint8_t> levels) {
  const size_t even = levels.size() / 2 * 2;
  const Kernels& kernels = ActiveKernels();
  kernels.unpack_nibbles(bytes, even, kSigned, levels.data());
  if (even == levels.size()) return;
  uint8_t last[2];
  kernels.unpack_nibbles(bytes + even / 2, 2, kSigned, last);
  levels[even] = last[0];
}

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_NIBBLE_LEVELS_H_
