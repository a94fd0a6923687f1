// Numbers and names as people read them. For text output only; JSON documents
// carry plain numbers.

#ifndef MONOQUANT_CLI_HUMAN_H_
#define MONOQUANT_CLI_HUMAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace monoquant::cli {

// "1 byte", "512 bytes", "1.0 KiB", "7.6 GiB".
std::string HumanBytes(uint64_t bytes);

// "0.04 s", "1.2 s", "12 s", "3 min 20 s", "2 h 5 min". Negative counts as 0.
std::string HumanSeconds(double seconds);

// "40.6 dB"; "exact" for +infinity, which is what equal values give.
std::string HumanDb(double db);

// "3.88 times smaller", "1.02 times larger", "the same size".
std::string HumanRatio(uint64_t from, uint64_t to);

// "1 tensor", "2 tensors".
std::string Plural(uint64_t count, absl::string_view noun);

// `text` with control characters, changes of writing direction and invalid
// UTF-8 escaped ("\n", "\x1b"), so that a name from a file can neither break a
// line nor drive the terminal.
std::string Printable(absl::string_view text);

// Columns that `text`, which is Printable, takes on a terminal: code points,
// not bytes.
size_t DisplayWidth(absl::string_view text);

// `text`, which is Printable, or its beginning and "..." if it takes more than
// `width` columns. `width` is at least 3.
std::string Shortened(absl::string_view text, size_t width);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_HUMAN_H_
