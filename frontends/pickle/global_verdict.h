// What the names in a pickle would do in Python.
//
// Lists of what is dangerous have always been incomplete: the standard library
// alone runs programs from dozens of places. So the standard library is
// dangerous as a whole, but for a list of what is known to be harmless; of
// other packages, a list of those that load, run or fetch things is; and the
// classes of the world stay unknown.

#ifndef MONOQUANT_FRONTENDS_PICKLE_GLOBAL_VERDICT_H_
#define MONOQUANT_FRONTENDS_PICKLE_GLOBAL_VERDICT_H_

#include "absl/strings/string_view.h"

namespace monoquant {

enum class GlobalVerdict {
  kSafe,     // makes data and nothing else, whatever it is called with
  kUnknown,  // a class or function of which nothing is known
  // Harmless or not, as its arguments are: getattr, functools.partial.
  kConditional,
  kDangerous,
};

// Stands for the module of a global whose name the pickle does not say but
// computes. Python can import nothing under it; dangerous.
inline constexpr char kComputedModule[] = "<computed>";

// Judges the whole pair of module and name, which are those of CanonicalGlobal:
// a name that only looks like a safe one is not.
GlobalVerdict JudgeGlobal(absl::string_view module, absl::string_view name);

// True for one name as in Python code: letters, digits and underscores.
bool IsIdentifier(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_GLOBAL_VERDICT_H_
