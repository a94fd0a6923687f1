// Decimal numbers, read in a tenth of the code that libc has for it.

#ifndef MONOQUANT_WASM_DECIMAL_H_
#define MONOQUANT_WASM_DECIMAL_H_

namespace monoquant {

// The double nearest to the decimal number at `text`, of two equally near ones
// the even one, as C's strtod: an optional sign, digits with a point among them
// or not, and an exponent or not ("-12.5e-3"). Infinity where it is too large.
// `*end` is behind the number, or `text` where there is none. Unlike strtod it
// knows no hexadecimals, no names, no locale, and skips no blanks.
double ReadDecimal(const char* text, const char** end);

}  // namespace monoquant

#endif  // MONOQUANT_WASM_DECIMAL_H_
