// UTF-8, decoded one code point at a time.

#ifndef MONOQUANT_IR_UTF8_H_
#define MONOQUANT_IR_UTF8_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace monoquant {

// What DecodeUtf8 gives for a byte that is part of no well-formed sequence.
inline constexpr uint32_t kInvalidCodePoint = 0xFFFFFFFF;

// The code point that starts at text[*pos], which must exist; advances `*pos`
// past it. Overlong forms, surrogates and values beyond U+10FFFF are invalid;
// then `*pos` advances by one byte.
uint32_t DecodeUtf8(absl::string_view text, size_t* pos);

// True if all of `text` is well-formed.
bool IsValidUtf8(absl::string_view text);

}  // namespace monoquant

#endif  // MONOQUANT_IR_UTF8_H_
