// "did you mean ...?"

#ifndef MONOQUANT_CLI_SUGGEST_H_
#define MONOQUANT_CLI_SUGGEST_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace monoquant::cli {

// The candidate that `word` is most likely a misspelling of: the nearest by
// edit distance with swapped neighbours counted once, if no more than a third
// of the letters are wrong. The first of equally near ones.
std::optional<std::string> Suggest(absl::string_view word,
                                   const std::vector<std::string>& candidates);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_SUGGEST_H_
