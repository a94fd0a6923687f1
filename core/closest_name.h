// "Did you mean ...": the tensor name that a pattern was probably meant for.

#ifndef MONOQUANT_CORE_CLOSEST_NAME_H_
#define MONOQUANT_CORE_CLOSEST_NAME_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

// The fewest single-character edits of `name` after which `glob` matches it.
size_t GlobDistance(absl::string_view glob, absl::string_view name);

// Of `names`, the one with the smallest GlobDistance, if it is small beside
// what `glob` spells out, or else the first that has much of that at its
// beginning or end or inside; empty if nothing comes near.
absl::string_view ClosestName(absl::string_view glob,
                              absl::Span<const absl::string_view> names);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CLOSEST_NAME_H_
