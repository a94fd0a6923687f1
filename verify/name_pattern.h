// Patterns of module names, as configurations have them: regular expressions of
// Python's.

#ifndef MONOQUANT_VERIFY_NAME_PATTERN_H_
#define MONOQUANT_VERIFY_NAME_PATTERN_H_

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace monoquant {

// The part of them that names need: characters, ".", classes ("[a-z]", "\d",
// "\w", "\s" and their opposites), groups, alternatives, repetitions, "^" and
// "$". Matching takes time in proportion to the lengths of pattern and name,
// whatever the pattern is.
class NamePattern {
 public:
  // Unimplemented for what is not known (lookaheads, references, flags),
  // InvalidArgument for what is no regular expression, and for one that is too
  // large.
  static absl::StatusOr<NamePattern> Parse(absl::string_view pattern);

  // As re.match does: from the start of the name to anywhere.
  bool MatchesStart(absl::string_view name) const;

  // As Transformers looks for modules that are not to be converted: from the
  // start of the name to the end of one of its parts between dots.
  bool MatchesModule(absl::string_view name) const;

 private:
  friend class PatternCompiler;

  enum class Op : uint8_t { kBytes, kSplit, kJump, kBegin, kEnd, kMatch };
  struct Step {
    Op op = Op::kMatch;
    std::bitset<256> bytes;  // kBytes
    size_t first = 0;        // kSplit, kJump: where to go on
    size_t second = 0;       // kSplit
  };

  // Calls `end` with the ends of matches from the start of the name, in rising
  // order, until it returns true; false if it never does.
  bool Match(absl::string_view name, absl::FunctionRef<bool(size_t)> end) const;

  std::vector<Step> steps_;
};

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_NAME_PATTERN_H_
