#include "frontends/pickle/pickle_text.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "ir/json.h"

namespace monoquant {
namespace {

// The value of `size` hexadecimal digits at text[pos].
std::optional<uint32_t> HexDigits(absl::string_view text, size_t pos,
                                  size_t size) {
  if (pos > text.size() || text.size() - pos < size) return std::nullopt;
  uint32_t value = 0;
  for (char c : text.substr(pos, size)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      return std::nullopt;
    }
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    value = value << 4 | static_cast<uint32_t>(digit);
  }
  return value;
}

// Surrogates come out as three bytes each, as Python's "surrogatepass" has
// them; such a string is no valid UTF-8 and refused where it is used as a name.
bool AppendUtf8(uint32_t code_point, std::string* out) {
  const auto put = [out](uint32_t byte) {
    out->push_back(static_cast<char>(byte));
  };
  if (code_point > 0x10FFFF) return false;
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
  return true;
}

// The one-letter escapes of a Python string.
std::optional<char> SimpleEscape(char c) {
  switch (c) {
    case '\\':
    case '\'':
    case '"':
      return c;
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

}  // namespace

std::optional<PickleInteger> ParsePickleInteger(absl::string_view line,
                                                bool suffix) {
  line = absl::StripAsciiWhitespace(line);
  if (suffix) {
    if (absl::EndsWith(line, "L")) line.remove_suffix(1);
  }
  absl::string_view digits = line;
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    digits.remove_prefix(1);
  }
  const bool decimal =
      !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
        return absl::ascii_isdigit(static_cast<unsigned char>(c));
      });
  if (!decimal) return std::nullopt;
  int64_t value;
  if (!absl::SimpleAtoi(line, &value)) return PickleInteger{};
  return PickleInteger{value};
}

std::optional<double> ParsePickleFloat(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (line == "inf") return kInfinity;
  if (line == "-inf") return -kInfinity;
  if (line == "nan") return std::numeric_limits<double>::quiet_NaN();
  // All others are numbers of JSON. A second reader of decimals would bring
  // tables that make the browser's module 3 % larger.
  const absl::StatusOr<Json> json = ParseJson(line);
  if (!json.ok()) return std::nullopt;
  if (const double* real = json->AsDouble()) return *real;
  if (const int64_t* integer = json->AsInt()) {
    return static_cast<double>(*integer);
  }
  if (const uint64_t* integer = json->AsBigUint()) {
    return static_cast<double>(*integer);
  }
  return std::nullopt;
}

PickleInteger DecodePickleLong(absl::string_view bytes) {
  if (bytes.empty()) return PickleInteger{0};
  const bool negative = (static_cast<unsigned char>(bytes.back()) & 0x80) != 0;
  // Leading bytes that only repeat the sign carry nothing.
  const char sign_byte = negative ? '\xFF' : '\0';
  while (bytes.size() > 8 && bytes.back() == sign_byte) bytes.remove_suffix(1);
  if (bytes.size() > 8) return PickleInteger{};
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  // Eight bytes whose sign differs from that of the bytes cut off.
  if ((value >> 63 != 0) != negative) return PickleInteger{};
  return PickleInteger{static_cast<int64_t>(value)};
}

std::optional<std::string> ParsePickleString(absl::string_view line) {
  line = absl::StripAsciiWhitespace(line);
  if (line.size() < 2 || line.front() != line.back() ||
      (line.front() != '\'' && line.front() != '"')) {
    return std::nullopt;
  }
  line = line.substr(1, line.size() - 2);
  std::string out;
  out.reserve(line.size());
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out.push_back(line[i]);
      continue;
    }
    if (++i == line.size()) return std::nullopt;
    if (const auto simple = SimpleEscape(line[i])) {
      out.push_back(*simple);
    } else if (line[i] == 'x') {
      const auto byte = HexDigits(line, i + 1, 2);
      if (!byte.has_value()) return std::nullopt;
      out.push_back(static_cast<char>(*byte));
      i += 2;
    } else if (line[i] >= '0' && line[i] <= '7') {
      int byte = 0;
      size_t n = 0;
      while (n < 3 && i + n < line.size() && line[i + n] >= '0' &&
             line[i + n] <= '7') {
        byte = byte * 8 + (line[i + n] - '0');
        ++n;
      }
      out.push_back(static_cast<char>(byte));
      i += n - 1;
    } else {
      // Python keeps the backslash of an escape that it does not know.
      out.push_back('\\');
      out.push_back(line[i]);
    }
  }
  return out;
}

std::optional<std::string> ParsePickleUnicode(absl::string_view line) {
  std::string out;
  out.reserve(line.size());
  for (size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    const char next = i + 1 < line.size() ? line[i + 1] : '\0';
    if (byte == '\\' && (next == 'u' || next == 'U')) {
      const size_t size = next == 'u' ? 4 : 8;
      const auto code_point = HexDigits(line, i + 2, size);
      if (!code_point.has_value() || !AppendUtf8(*code_point, &out)) {
        return std::nullopt;
      }
      i += 1 + size;
    } else if (byte == '\\' && next == '\\') {
      // Raw: two backslashes stay two, and the second starts no escape.
      out.append("\\\\");
      ++i;
    } else {
      AppendUtf8(byte, &out);
    }
  }
  return out;
}

}  // namespace monoquant
