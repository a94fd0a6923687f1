// Whether something holds, for each of many things.

#ifndef MONOQUANT_IR_MARKS_H_
#define MONOQUANT_IR_MARKS_H_

#include <cstdint>
#include <vector>

#include "ir/marks.h"

namespace monoquant {

// One byte each, 0 or 1. The bits of a Marks take less memory, of
// which there is enough for a byte a tensor, and more code, which a browser has
// to load.
using Marks = std::vector<uint8_t>;

}  // namespace monoquant

#endif  // MONOQUANT_IR_MARKS_H_
