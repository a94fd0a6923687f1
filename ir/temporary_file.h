// A file that exists under a temporary name until it is complete.

#ifndef MONOQUANT_IR_TEMPORARY_FILE_H_
#define MONOQUANT_IR_TEMPORARY_FILE_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "ir/pending_files.h"
#include "ir/unique_fd.h"

namespace monoquant {

// Removes the file when destroyed, unless it was renamed before; until then
// RemovePendingFiles covers it too. All functions give 0 or an errno. Not
// thread-safe, but fd() may be written to from any thread.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Creates ".NAME.mq-XXXXXX.tmp" in the open directory `directory_fd`, which
  // must outlive this object, with mode 0666 less the umask. To be called once.
  int Create(int directory_fd, absl::string_view name);

  // Open for reading and writing between Create and SyncAndClose.
  int fd() const { return fd_.get(); }

  // Makes the content durable and closes the file.
  int SyncAndClose();

  // Gives the file its final name in the same directory. Without `overwrite`,
  // EEXIST if there is a file of that name, even if it appeared a moment ago.
  int Rename(const std::string& name, bool overwrite);

 private:
  int RenameOver(const std::string& name);
  int RenameNew(const std::string& name);

  UniqueFd fd_;
  int directory_fd_ = -1;  // -1: there is nothing to remove
  std::string name_;
  std::optional<PendingFile> pending_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_TEMPORARY_FILE_H_
