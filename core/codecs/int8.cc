#include "core/codecs/int8.h"

#include <cstddef>
#include <cstdint>

namespace monoquant {
namespace {

void Encode(absl::Span<const float> levels, uint8_t* bytes) {
  for (size_t i = 0; i < levels.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(static_cast<int32_t>(levels[i]));
  }
}

// Int is the type of the stored byte.
template <typename Int>
void Decode(const uint8_t* bytes, absl::Span<float> levels) {
  for (size_t i = 0; i < levels.size(); ++i) {
    levels[i] = static_cast<float>(static_cast<Int>(bytes[i]));
  }
}

}  // namespace

const Codec kInt8Codec = {NumberFormat::kInt8,
                          "signed 8-bit integers, one a byte",
                          8,
                          -128,
                          127,
                          Encode,
                          Decode<int8_t>};

const Codec kUInt8Codec = {NumberFormat::kUInt8,
                           "unsigned 8-bit integers, one a byte",
                           8,
                           0,
                           255,
                           Encode,
                           Decode<uint8_t>};

}  // namespace monoquant
