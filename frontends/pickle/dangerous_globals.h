// The names in pickles, outside of the standard library, that run, load or
// fetch things.

#ifndef MONOQUANT_FRONTENDS_PICKLE_DANGEROUS_GLOBALS_H_
#define MONOQUANT_FRONTENDS_PICKLE_DANGEROUS_GLOBALS_H_

#include "absl/strings/string_view.h"

namespace monoquant {

// True if one of the packages, modules or functions is meant that are known to
// run code, to load more of it, or to reach files and the network.
bool IsDangerousPackage(absl::string_view module, absl::string_view name);

// True for a part of a dotted name that leads to where Python keeps its powers:
// "os" in ("torch.serialization", "os.system"), "__globals__", "eval".
bool IsDangerousPart(absl::string_view part);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_DANGEROUS_GLOBALS_H_
