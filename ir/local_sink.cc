// Outputs on the local file system: a temporary file that is renamed.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/errno_status.h"
#include "ir/local_files.h"
#include "ir/pending_files.h"
#include "ir/status_macros.h"
#include "ir/temporary_file.h"
#include "ir/unique_fd.h"
#include "ir/write_file.h"

namespace monoquant {
namespace {

constexpr int kMaxLinks = 40;

absl::Status ExistsError(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat(
      path, ": already exists; choose another name or allow to replace it"));
}

// Follows symbolic links by hand, so that a link to a file that does not exist
// yet gives that file's path.
absl::StatusOr<std::string> ResolveLinks(const std::string& path) {
  std::string resolved = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    char target[4096];
    const ssize_t length =
        readlink(resolved.c_str(), target, sizeof(target) - 1);
    if (length < 0) return resolved;  // no link, or nothing there
    target[length] = '\0';
    if (target[0] == '/') {
      resolved = target;
    } else {
      resolved = resolved.substr(0, resolved.rfind('/') + 1) + target;
    }
  }
  return ErrnoStatus(ELOOP, path, "cannot follow the link");
}

struct Directory {
  std::string path;  // as messages call it
  UniqueFd fd;
};

absl::StatusOr<Directory> OpenDirectory(const std::string& output,
                                        const std::string& resolved) {
  Directory directory;
  const size_t length = resolved.rfind('/') + 1;
  directory.path = length == 0 ? "." : resolved.substr(0, length);
  constexpr int kFlags = O_DIRECTORY | O_CLOEXEC;
  directory.fd = UniqueFd(open(directory.path.c_str(), O_RDONLY | kFlags));
#ifdef O_PATH
  // A directory may be writable but not readable.
  if (!directory.fd.ok() && errno == EACCES) {
    directory.fd = UniqueFd(open(directory.path.c_str(), O_PATH | kFlags));
  }
#endif
  if (directory.fd.ok()) return directory;
  const int error = errno;
  if (error == ENOENT) {
    return absl::NotFoundError(absl::StrCat(output, ": there is no directory '",
                                            directory.path,
                                            "'; create it first"));
  }
  return ErrnoStatus(
      error, output,
      absl::StrCat("cannot open the directory '", directory.path, "'"));
}

class LocalSink : public ByteSink {
 public:
  LocalSink(std::string path, uint64_t size, LocalSinkOptions options)
      : path_(std::move(path)), size_(size), options_(options) {}

  absl::Status Open() {
    MQ_ASSIGN_OR_RETURN(const std::string resolved, ResolveLinks(path_));
    MQ_RETURN_IF_ERROR(CheckDestination(resolved));
    MQ_ASSIGN_OR_RETURN(directory_, OpenDirectory(path_, resolved));
    file_name_ = resolved.substr(resolved.rfind('/') + 1);
    const int error = temporary_.Create(directory_.fd.get(), file_name_);
    if (error == ENOSPC || error == EDQUOT) {
      return WriteError(error, path_, size_, directory_.fd.get());
    }
    if (error != 0) {
      return ErrnoStatus(
          error, path_,
          absl::StrCat("cannot create a file in '", directory_.path, "'"));
    }
    return ReserveSpace(temporary_.fd(), path_, size_);
  }

  const std::string& name() const override { return path_; }

  absl::Status WriteAt(uint64_t offset,
                       absl::Span<const uint8_t> src) override {
    return WriteFileAt(temporary_.fd(), path_, size_, offset, src);
  }

  absl::Status Commit() override {
    const int write_error = temporary_.SyncAndClose();
    if (write_error != 0) {
      return WriteError(write_error, path_, size_, directory_.fd.get());
    }
    const int rename_error = temporary_.Rename(file_name_, options_.overwrite);
    if (rename_error == EEXIST) return ExistsError(path_);
    if (rename_error != 0) {
      return ErrnoStatus(rename_error, path_, "cannot put the file in place");
    }
    // The new name is durable once the directory is. Some file systems cannot
    // sync a directory; there the rename is all that can be done.
    const int sync_error =
        RetryOnInterrupt([&] { return fsync(directory_.fd.get()); });
    if (sync_error == EIO) {
      return ErrnoStatus(sync_error, path_, "cannot sync the directory");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status CheckDestination(const std::string& resolved) const {
    struct stat info;
    const bool exists = lstat(resolved.c_str(), &info) == 0;
    if (!exists && errno != ENOENT) {
      return ErrnoStatus(errno, path_, "cannot create");
    }
    const bool names_directory = resolved.empty() || resolved.back() == '/';
    if (names_directory || (exists && S_ISDIR(info.st_mode))) {
      return absl::InvalidArgumentError(absl::StrCat(
          path_, ": is the name of a directory; name a file in it"));
    }
    if (exists && !S_ISREG(info.st_mode)) {
      return absl::InvalidArgumentError(
          absl::StrCat(path_, ": is a special file; name a regular file"));
    }
    if (exists && !options_.overwrite) return ExistsError(path_);
    return absl::OkStatus();
  }

  std::string path_;
  uint64_t size_;
  LocalSinkOptions options_;
  std::string file_name_;
  // In this order: the temporary file is removed before its directory closes.
  Directory directory_;
  TemporaryFile temporary_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSink>> CreateLocalSink(
    const std::string& path, uint64_t size, const LocalSinkOptions& options) {
  auto sink = std::make_unique<LocalSink>(path, size, options);
  MQ_RETURN_IF_ERROR(sink->Open());
  return sink;
}

void RemovePendingOutputs() { RemovePendingFiles(); }

}  // namespace monoquant
