#include "ir/utf8.h"

#include <cstring>

namespace monoquant {

uint32_t DecodeUtf8(absl::string_view text, size_t* pos) {
  const auto byte = [text](size_t i) -> uint32_t {
    return static_cast<unsigned char>(text[i]);
  };
  const size_t start = (*pos)++;
  const uint32_t lead = byte(start);
  if (lead < 0x80) return lead;

  // Length, the bits of the lead byte, and the smallest value that needs this
  // length.
  int continuation_bytes;
  uint32_t code_point;
  uint32_t smallest;
  if (lead >= 0xC2 && lead <= 0xDF) {
    continuation_bytes = 1, code_point = lead & 0x1F, smallest = 0x80;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    continuation_bytes = 2, code_point = lead & 0x0F, smallest = 0x800;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    continuation_bytes = 3, code_point = lead & 0x07, smallest = 0x10000;
  } else {
    return kInvalidCodePoint;
  }
  const size_t end = start + 1 + static_cast<size_t>(continuation_bytes);
  if (end > text.size()) return kInvalidCodePoint;
  for (size_t i = start + 1; i < end; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalidCodePoint;
    code_point = (code_point << 6) | (byte(i) & 0x3F);
  }
  const bool is_surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (code_point < smallest || code_point > 0x10FFFF || is_surrogate) {
    return kInvalidCodePoint;
  }
  *pos = end;
  return code_point;
}

bool IsValidUtf8(absl::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    // Names are ASCII, mostly: eight bytes at a time.
    uint64_t eight;
    if (text.size() - pos >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + pos, sizeof(eight));
      if ((eight & 0x8080808080808080) == 0) {
        pos += sizeof(eight);
        continue;
      }
    }
    if (DecodeUtf8(text, &pos) == kInvalidCodePoint) return false;
  }
  return true;
}

}  // namespace monoquant
