#include "ir/quoted.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// Ranges of code points that must not reach a terminal or a log.
constexpr struct {
  uint32_t first;
  uint32_t last;
} kHidden[] = {
    {0x00, 0x1F},                            // controls
    {0x7F, 0x9F},                            // controls
    {0x200E, 0x200F},                        // direction marks
    {0x2028, 0x202E},                        // line ends, directions
    {0x2066, 0x2069},                        // isolates
    {kInvalidCodePoint, kInvalidCodePoint},  // no UTF-8
};

bool IsHidden(uint32_t code_point) {
  for (const auto& [first, last] : kHidden) {
    if (code_point >= first && code_point <= last) return true;
  }
  return false;
}

}  // namespace

std::string QuotedName(absl::string_view name) {
  constexpr size_t kMaxBytes = 160;
  std::string quoted = "'";
  for (size_t pos = 0; pos < name.size();) {
    if (quoted.size() > kMaxBytes) {
      quoted += "...";
      break;
    }
    const size_t start = pos;
    const bool hidden = IsHidden(DecodeUtf8(name, &pos));
    for (size_t i = start; i < pos; ++i) {
      const auto byte = static_cast<unsigned char>(name[i]);
      if (hidden) {
        quoted += absl::StrCat("\\x", absl::Hex(byte, absl::kZeroPad2));
      } else {
        quoted.push_back(name[i]);
      }
    }
  }
  quoted.push_back('\'');
  return quoted;
}

}  // namespace monoquant
