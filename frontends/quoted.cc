#include "frontends/quoted.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "ir/utf8.h"

namespace monoquant {

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxBytes = 160;
  std::string result = "'";
  size_t pos = 0;
  while (pos < text.size()) {
    if (result.size() > kMaxBytes) {
      absl::StrAppend(&result, "...");
      break;
    }
    const size_t start = pos;
    const uint32_t code_point = DecodeUtf8(text, &pos);
    // C0 and C1 controls, and the characters that turn the writing direction.
    const bool printable = code_point != kInvalidCodePoint &&
                           code_point >= 0x20 &&
                           !(code_point >= 0x7F && code_point < 0xA0) &&
                           !(code_point >= 0x200E && code_point <= 0x200F) &&
                           !(code_point >= 0x2028 && code_point <= 0x202E) &&
                           !(code_point >= 0x2066 && code_point <= 0x2069);
    for (size_t i = start; i < pos; ++i) {
      if (printable) {
        result.push_back(text[i]);
      } else {
        const auto byte = static_cast<unsigned char>(text[i]);
        absl::StrAppend(&result, "\\x", absl::Hex(byte, absl::kZeroPad2));
      }
    }
  }
  result.push_back('\'');
  return result;
}

}  // namespace monoquant
