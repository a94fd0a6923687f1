#include "core/codecs/int8.h"

#include <algorithm>
#include <cstdint>

namespace monoquant {
namespace {

void Pack(absl::Span<const uint8_t> levels, uint8_t* bytes) {
  std::copy(levels.begin(), levels.end(), bytes);
}

void Unpack(const uint8_t* bytes, absl::Span<uint8_t> levels) {
  std::copy(bytes, bytes + levels.size(), levels.begin());
}

}  // namespace

const Codec kInt8Codec = {NumberFormat::kInt8,
                          "signed 8-bit integers, one a byte",
                          8,
                          LevelKind::kSigned,
                          -128,
                          127,
                          Pack,
                          Unpack,
                          nullptr,
                          nullptr};

const Codec kUInt8Codec = {NumberFormat::kUInt8,
                           "unsigned 8-bit integers, one a byte",
                           8,
                           LevelKind::kUnsigned,
                           0,
                           255,
                           Pack,
                           Unpack,
                           nullptr,
                           nullptr};

}  // namespace monoquant
