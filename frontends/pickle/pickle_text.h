// The texts of protocol 0, in which numbers and strings are lines.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_TEXT_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace monoquant {

// An integer of any length; `value` is absent where it does not fit.
struct PickleInteger {
  std::optional<int64_t> value;
};

// "42", "-7", and with `suffix` "42L" too. nullopt if it is no integer.
std::optional<PickleInteger> ParsePickleInteger(absl::string_view line,
                                                bool suffix);

// A number as Python writes it: "1.5", "1e-05", "-inf", "nan". nullopt if it is
// none, or too large for a double.
std::optional<double> ParsePickleFloat(absl::string_view line);

// The little-endian two's complement number of LONG1 and LONG4.
PickleInteger DecodePickleLong(absl::string_view bytes);

// The literal of STRING: a Python 2 string between quotes, with escapes.
// nullopt if it is malformed.
std::optional<std::string> ParsePickleString(absl::string_view line);

// The text of UNICODE: Latin-1 with \uXXXX and \UXXXXXXXX escapes, to UTF-8.
// nullopt if it is malformed.
std::optional<std::string> ParsePickleUnicode(absl::string_view line);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_TEXT_H_
