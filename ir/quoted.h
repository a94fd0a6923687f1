// Names out of a file, as they appear in messages.

#ifndef MONOQUANT_IR_QUOTED_H_
#define MONOQUANT_IR_QUOTED_H_

#include <string>

#include "absl/strings/string_view.h"

namespace monoquant {

// `name` between single quotes, fit for one line on a terminal whatever a file
// has put into it: control characters, characters that turn the writing
// direction and bytes that are no UTF-8 appear as \xNN; a long name is cut.
std::string QuotedName(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_IR_QUOTED_H_
