#include "core/codecs/int4.h"

#include <cstddef>
#include <cstdint>

namespace monoquant {
namespace {

uint32_t Nibble(float level) {
  return static_cast<uint32_t>(static_cast<int32_t>(level)) & 15u;
}

void Encode(absl::Span<const float> levels, uint8_t* bytes) {
  const size_t pairs = levels.size() / 2;
  for (size_t k = 0; k < pairs; ++k) {
    bytes[k] = static_cast<uint8_t>(Nibble(levels[2 * k]) |
                                    Nibble(levels[2 * k + 1]) << 4);
  }
  if (levels.size() % 2 != 0) {
    bytes[pairs] = static_cast<uint8_t>(Nibble(levels[2 * pairs]));
  }
}

// kSign is the nibble's sign bit as two's complement has it, 0 for unsigned:
// flipping and subtracting it extends the sign.
template <int32_t kSign>
float Level(int32_t nibble) {
  return static_cast<float>((nibble ^ kSign) - kSign);
}

template <int32_t kSign>
void Decode(const uint8_t* bytes, absl::Span<float> levels) {
  const size_t pairs = levels.size() / 2;
  for (size_t k = 0; k < pairs; ++k) {
    levels[2 * k] = Level<kSign>(bytes[k] & 15);
    levels[2 * k + 1] = Level<kSign>(bytes[k] >> 4);
  }
  if (levels.size() % 2 != 0) {
    levels[2 * pairs] = Level<kSign>(bytes[pairs] & 15);
  }
}

}  // namespace

const Codec kInt4Codec = {NumberFormat::kInt4,
                          "signed 4-bit integers, two a byte",
                          4,
                          -8,
                          7,
                          Encode,
                          Decode<8>};

const Codec kUInt4Codec = {NumberFormat::kUInt4,
                           "unsigned 4-bit integers, two a byte",
                           4,
                           0,
                           15,
                           Encode,
                           Decode<0>};

}  // namespace monoquant
