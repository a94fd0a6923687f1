#include "core/closest_name.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace monoquant {
namespace {

// Character pairs that a search looks at, in all: about a tenth of a second.
constexpr size_t kBudget = 100'000'000;

// The longest part of `glob` without wildcards.
absl::string_view LongestLiteral(absl::string_view glob) {
  absl::string_view longest;
  for (absl::string_view part : absl::StrSplit(glob, absl::ByAnyChar("*?"))) {
    if (part.size() > longest.size()) longest = part;
  }
  return longest;
}

size_t CommonPrefix(absl::string_view a, absl::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return n;
}

size_t CommonSuffix(absl::string_view a, absl::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() &&
         a[a.size() - 1 - n] == b[b.size() - 1 - n]) {
    ++n;
  }
  return n;
}

}  // namespace

size_t GlobDistance(absl::string_view glob, absl::string_view name) {
  // edits[n]: of the first n characters of the name, so that the part of the
  // glob up to here matches them. The usual table, one row at a time; a star
  // takes over characters at no cost.
  std::vector<size_t> edits(name.size() + 1);
  for (size_t n = 0; n < edits.size(); ++n) edits[n] = n;
  for (const char g : glob) {
    size_t diagonal = edits[0];
    if (g != '*') ++edits[0];
    for (size_t n = 1; n < edits.size(); ++n) {
      const size_t above = edits[n];
      if (g == '*') {
        edits[n] = std::min(above, edits[n - 1]);
      } else {
        const bool same = g == '?' || g == name[n - 1];
        edits[n] =
            std::min({diagonal + (same ? 0 : 1), above + 1, edits[n - 1] + 1});
      }
      diagonal = above;
    }
  }
  return edits.back();
}

absl::string_view ClosestName(absl::string_view glob,
                              absl::Span<const absl::string_view> names) {
  const size_t literals = static_cast<size_t>(std::count_if(
      glob.begin(), glob.end(), [](char c) { return c != '*' && c != '?'; }));
  const absl::string_view literal = LongestLiteral(glob);
  // Half of what was typed may be wrong at most.
  size_t least = literals / 2 + 1;
  absl::string_view nearest;
  size_t most_shared = std::max<size_t>(3, literal.size() / 2);
  absl::string_view sharing;
  size_t work = 0;
  for (absl::string_view name : names) {
    work += (glob.size() + 1) * (name.size() + 1);
    if (work > kBudget) break;
    const size_t edits = GlobDistance(glob, name);
    if (edits < least) {
      least = edits;
      nearest = name;
    }
    const size_t shared = absl::StrContains(name, literal)
                              ? literal.size()
                              : std::max(CommonPrefix(literal, name),
                                         CommonSuffix(literal, name));
    if (shared > most_shared) {
      most_shared = shared;
      sharing = name;
    }
  }
  return nearest.empty() ? sharing : nearest;
}

}  // namespace monoquant
