// What a command knows of the world besides its arguments: where to print, and
// whether the user wants it to stop.

#ifndef MONOQUANT_CLI_STREAMS_H_
#define MONOQUANT_CLI_STREAMS_H_

#include <atomic>
#include <ostream>

#include "ir/json.h"

namespace monoquant::cli {

struct Streams {
  // Results: the summary, or one JSON document.
  std::ostream* out;
  // Progress, notes and errors.
  std::ostream* err;
  // True where a bar can be drawn on `err`.
  bool err_is_terminal = false;
  // Set from outside when the user interrupts; never cleared.
  const std::atomic<bool>* cancel;
  // True once a JSON document went to `out`, so that there is never a second.
  bool document_written = false;

  // Prints a --json document: indented, with a newline.
  void WriteDocument(const Json& document) {
    *out << document.ToString(2) << '\n';
    document_written = true;
  }
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_STREAMS_H_
