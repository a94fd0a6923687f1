// Files and directories that exist under a temporary name until they are
// complete.
//
// Both remove themselves when destroyed, unless they were renamed before; until
// then RemovePendingFiles covers them too. Those that were opened by a name of
// the caller's stay. All functions give 0 or an errno.

#ifndef MONOQUANT_IR_TEMPORARY_FILE_H_
#define MONOQUANT_IR_TEMPORARY_FILE_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "ir/pending_files.h"
#include "ir/unique_fd.h"

namespace monoquant {

// Not thread-safe, but fd() may be written to from any thread.
class TemporaryFile {
 public:
  TemporaryFile() = default;
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  // Creates ".NAME.mq-XXXXXX.tmp" in the open directory `directory_fd`, which
  // must outlive this object, with mode 0666 less the umask. To be called once.
  int Create(int directory_fd, absl::string_view name);

  // The same with the name `name`. What is there is removed first, or, with
  // `keep_content`, opened: ENOENT or EPERM if there is no file of this user.
  int Open(int directory_fd, const std::string& name, bool keep_content);

  // Open for reading and writing between Create or Open and SyncAndClose.
  int fd() const { return fd_.get(); }

  // Makes the content durable and closes the file.
  int SyncAndClose();

  // Gives the file its final name in the same directory. Without `overwrite`,
  // EEXIST if there is a file of that name, even if it appeared a moment ago.
  int Rename(const std::string& name, bool overwrite);

 private:
  UniqueFd fd_;
  int directory_fd_ = -1;
  std::string name_;
  bool remove_ = false;
  std::optional<PendingFile> pending_;
};

// A directory of files, without directories in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory() = default;
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  // Creates ".NAME.mq-XXXXXX.tmp" in the open directory `parent_fd`, which must
  // outlive this object, with mode 0777 less the umask. To be called once.
  int Create(int parent_fd, absl::string_view name);

  // The same with the name `name`; as TemporaryFile::Open.
  int Open(int parent_fd, const std::string& name, bool keep_content);

  // The directory itself.
  int fd() const { return fd_.get(); }

  // Gives the directory its final name in the same parent; EEXIST or ENOTEMPTY
  // if there is something of that name.
  int Rename(const std::string& name);

 private:
  UniqueFd fd_;
  int parent_fd_ = -1;
  std::string name_;
  bool remove_ = false;
  std::optional<PendingFile> pending_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_TEMPORARY_FILE_H_
