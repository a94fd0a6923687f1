// Names out of a file, as they appear in messages.

#ifndef MONOQUANT_FRONTENDS_QUOTED_H_
#define MONOQUANT_FRONTENDS_QUOTED_H_

#include <string>

#include "absl/strings/string_view.h"

namespace monoquant {

// `text` between single quotes, fit for one line on a terminal whatever a file
// has put into it: control characters and bytes that are no UTF-8 appear as
// \xNN, and what exceeds some hundred bytes as "...".
std::string Quoted(absl::string_view text);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_QUOTED_H_
