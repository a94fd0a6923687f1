#include "cli/human.h"

#include <array>
#include <cmath>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ir/utf8.h"

namespace monoquant::cli {
namespace {

// True for code points that a terminal would obey instead of showing: control
// characters, line separators and changes of writing direction.
bool IsControl(uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7f && code_point <= 0x9f) ||
         (code_point >= 0x2028 && code_point <= 0x202e) ||
         (code_point >= 0x2066 && code_point <= 0x2069);
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  if (bytes < 1024) return Plural(bytes, "byte");
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB",
                                                        "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  if (!(seconds > 0)) seconds = 0;
  if (seconds < 0.995) return absl::StrFormat("%.2f s", seconds);
  if (seconds < 9.95) return absl::StrFormat("%.1f s", seconds);
  if (seconds > 1e9) return "years";
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return absl::StrCat(whole, " s");
  if (whole < 3600) {
    return absl::StrCat(whole / 60, " min ", whole % 60, " s");
  }
  return absl::StrCat(whole / 3600, " h ", whole % 3600 / 60, " min");
}

std::string HumanDb(double db) {
  if (std::isinf(db)) return db > 0 ? "exact" : "-inf dB";
  return absl::StrFormat("%.1f dB", db);
}

std::string HumanRatio(uint64_t from, uint64_t to) {
  if (from == to || from == 0 || to == 0) return "the same size";
  const double a = static_cast<double>(from);
  const double b = static_cast<double>(to);
  return a > b ? absl::StrFormat("%.2f times smaller", a / b)
               : absl::StrFormat("%.2f times larger", b / a);
}

std::string Plural(uint64_t count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string Printable(absl::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    const size_t begin = pos;
    const uint32_t code_point = DecodeUtf8(text, &pos);
    const absl::string_view bytes = text.substr(begin, pos - begin);
    if (code_point != kInvalidCodePoint && !IsControl(code_point)) {
      result.append(bytes.data(), bytes.size());
    } else {
      absl::StrAppend(&result, absl::CHexEscape(bytes));
    }
  }
  return result;
}

std::string Shortened(absl::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  size_t end = 0;
  for (size_t i = 0; i + 3 < width; ++i) DecodeUtf8(text, &end);
  return absl::StrCat(text.substr(0, end), "...");
}

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++width;
  }
  return width;
}

}  // namespace monoquant::cli
