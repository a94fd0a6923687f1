// For formats whose levels are stored as the bytes that they are.

#ifndef MONOQUANT_CORE_CODECS_BYTE_LEVELS_H_
#define MONOQUANT_CORE_CODECS_BYTE_LEVELS_H_

#include <algorithm>
#include <cstdint>

#include "absl/types/span.h"

namespace monoquant {

inline void PackBytes(absl::Span<const uint8_t> levels, uint8_t* bytes) {
  std::copy(levels.begin(), levels.end(), bytes);
}

inline void UnpackBytes(const uint8_t* bytes, absl::Span<uint8_t> levels) {
  std::copy(bytes, bytes + levels.size(), levels.begin());
}

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_BYTE_LEVELS_H_
