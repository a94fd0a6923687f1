// The names in pickles that make data and do nothing else.

#ifndef MONOQUANT_FRONTENDS_PICKLE_SAFE_GLOBALS_H_
#define MONOQUANT_FRONTENDS_PICKLE_SAFE_GLOBALS_H_

#include "absl/strings/string_view.h"

namespace monoquant {

// True for what torch itself loads with weights_only=True, the arrays and
// numbers of NumPy, and plain types of the standard library. Exactly these
// pairs: no prefix, no attribute of theirs.
bool IsSafeGlobal(absl::string_view module, absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_SAFE_GLOBALS_H_
