// What the module leaves out of its libraries. The linker puts each __wrap_NAME
// where NAME of theirs is called (--wrap, in the BUILD file), which would bring
// far more code along than there is a use for; a browser has to load it all. A
// twentieth of the module in sum.

#include <unistd.h>

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "wasm/decimal.h"

extern "C" {

// libc's computes with floats of 128 bits, which are software here. The one
// caller is the reader of JSON, whose numbers are all decimal.
double __wrap_strtod(const char* text, char** end) {
  const char* behind;
  const double value = monoquant::ReadDecimal(text, &behind);
  if (end != nullptr) *end = const_cast<char*>(behind);
  return value;
}

// libc's knows 1,500 bytes of ways to print a number. Here it prints the texts
// and integers of Abseil's last words, and of the reader of JSON the "%.4X" of
// a character that is none. What else there may be is printed as it is spelled.
int __wrap_vsnprintf(char* text, size_t size, const char* format,
                     va_list values) {
  size_t used = 0;
  const auto put = [&](char c) {
    if (used + 1 < size) text[used] = c;
    ++used;
  };
  for (; *format != 0; ++format) {
    if (*format != '%') {
      put(*format);
      continue;
    }
    const char* kind = format + 1;
    size_t digits = 1;
    if (kind[0] == '.' && kind[1] == '4') {
      digits = 4;
      kind += 2;
    }
    if (*kind == 's') {
      for (const char* c = va_arg(values, const char*); *c != 0; ++c) put(*c);
    } else if (*kind == 'd' || *kind == 'X') {
      uint32_t value = va_arg(values, uint32_t);
      if (*kind == 'd' && static_cast<int32_t>(value) < 0) {
        put('-');
        value = -value;
      }
      const uint32_t base = *kind == 'd' ? 10 : 16;
      char reversed[10];
      size_t count = 0;
      for (; value > 0 || count < digits; value /= base) {
        reversed[count++] = "0123456789ABCDEF"[value % base];
      }
      while (count > 0) put(reversed[--count]);
    } else {
      put('%');
      continue;
    }
    format = kind;
  }
  if (size > 0) text[used < size ? used : size - 1] = 0;
  return static_cast<int>(used);
}

// Says what went wrong before a StatusOr was asked for a value that it does not
// have, which is a bug. Abseil's tells the code and what is attached, too.
[[noreturn]] void
__wrap__ZN4absl12lts_2026010717internal_statusor6Helper5CrashERKNS0_6StatusE(
    const absl::Status& status) {
  const absl::string_view message = status.message();
  write(STDERR_FILENO, message.data(), message.size());
  std::abort();
}

// Abseil's cords hold what is attached to a status. Nothing is attached to
// ours, but the code that would release it, and take the cord out of statistics
// that nobody asked for, needs locks, clocks and a log. Neither is ever called.
[[noreturn]] void
__wrap__ZN4absl12lts_2026010713cord_internal9CordzInfo7UntrackEv(void*) {
  __builtin_trap();
}
[[noreturn]] void
__wrap__ZN4absl12lts_2026010713cord_internal7CordRep7DestroyEPS1_(void*) {
  __builtin_trap();
}

}  // extern "C"
