// Temporary files and directories that must not survive the process, in a form
// that a signal handler can walk.

#ifndef MONOQUANT_IR_PENDING_FILES_H_
#define MONOQUANT_IR_PENDING_FILES_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace monoquant {

// While it exists, RemovePendingFiles removes the entry `name` (of up to 255
// bytes) of the open directory `directory_fd`, which must stay open: a file, or
// a directory with the files in it. Does nothing if kMaxPendingFiles others
// exist. Thread-safe.
class PendingFile {
 public:
  enum class Kind : uint8_t { kFile, kDirectory };

  PendingFile(int directory_fd, absl::string_view name, Kind kind);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;

 private:
  int slot_;  // -1 if the table is full
};

inline constexpr int kMaxPendingFiles = 32;

// Async-signal-safe.
void RemovePendingFiles();

// Removes the directory `name` of the open directory `parent_fd` and the files
// in it. What is no file, a directory in the directory for one, stays, and the
// directory with it. Async-signal-safe.
void RemoveFlatDirectory(int parent_fd, const char* name);

// Either, whichever it is.
void RemoveFileOrFlatDirectory(int parent_fd, const char* name);

}  // namespace monoquant

#endif  // MONOQUANT_IR_PENDING_FILES_H_
