// The names of pickle instructions.

#ifndef MONOQUANT_FRONTENDS_PICKLE_OPCODE_NAMES_H_
#define MONOQUANT_FRONTENDS_PICKLE_OPCODE_NAMES_H_

#include "absl/strings/string_view.h"
#include "frontends/pickle/opcodes.h"

namespace monoquant {

// "REDUCE": what Python's pickletools calls an instruction that names, calls or
// changes something; empty for the others.
absl::string_view PickleOpName(PickleOp op);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_OPCODE_NAMES_H_
