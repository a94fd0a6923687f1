// The modules of Python's standard library.

#ifndef MONOQUANT_FRONTENDS_PICKLE_STDLIB_MODULES_H_
#define MONOQUANT_FRONTENDS_PICKLE_STDLIB_MODULES_H_

#include "absl/strings/string_view.h"

namespace monoquant {

// True for "os", "os.path" and "_posixsubprocess": modules, and modules below
// them, that some Python brings along.
bool IsStdlibModule(absl::string_view module);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_STDLIB_MODULES_H_
