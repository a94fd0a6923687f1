// Temporary files that must not survive the process, in a form that a signal
// handler can walk.

#ifndef MONOQUANT_IR_PENDING_FILES_H_
#define MONOQUANT_IR_PENDING_FILES_H_

#include "absl/strings/string_view.h"

namespace monoquant {

// While it exists, RemovePendingFiles removes the file `name` (of up to 255
// bytes) in the open directory `directory_fd`, which must stay open. Does
// nothing if kMaxPendingFiles others exist. Thread-safe.
class PendingFile {
 public:
  PendingFile(int directory_fd, absl::string_view name);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

 private:
  int slot_;  // -1 if the table is full
};

inline constexpr int kMaxPendingFiles = 32;

// Async-signal-safe.
void RemovePendingFiles();

}  // namespace monoquant

#endif  // MONOQUANT_IR_PENDING_FILES_H_
