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
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/output_place.h"
#include "ir/pending_files.h"
#include "ir/status_macros.h"
#include "ir/temporary_file.h"
#include "ir/unique_fd.h"
#include "ir/write_file.h"

namespace monoquant {
namespace {

absl::Status ExistsError(const std::string& path) {
  return AlreadyExistsError(
      path, ": already exists; choose another name or allow to replace it");
}

struct Directory {
  std::string path;  // as messages call it
  UniqueFd fd;
};

absl::StatusOr<Directory> OpenDirectory(const std::string& output,
                                        const OutputPlace& place) {
  Directory directory;
  directory.path = place.directory;
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
    return NotFoundError(output, ": there is no directory '", directory.path,
                         "'; create it first");
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
    MQ_ASSIGN_OR_RETURN(const OutputPlace place, PlaceOfFile(path_));
    MQ_RETURN_IF_ERROR(CheckDestination(place));
    MQ_ASSIGN_OR_RETURN(directory_, OpenDirectory(path_, place));
    file_name_ = place.name;
    const int error =
        options_.unfinished == Unfinished::kRemove
            ? temporary_.Create(directory_.fd.get(), file_name_)
            : temporary_.Open(directory_.fd.get(), PartName(file_name_),
                              options_.unfinished == Unfinished::kContinue);
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
  absl::Status CheckDestination(const OutputPlace& place) const {
    const std::string resolved = absl::StrCat(place.directory, "/", place.name);
    struct stat info;
    const bool exists = lstat(resolved.c_str(), &info) == 0;
    if (!exists && errno != ENOENT) {
      return ErrnoStatus(errno, path_, "cannot create");
    }
    if (place.name.empty() || (exists && S_ISDIR(info.st_mode))) {
      return InvalidArgumentError(
          path_, ": is the name of a directory; name a file in it");
    }
    if (exists && !S_ISREG(info.st_mode)) {
      return InvalidArgumentError(path_,
                                  ": is a special file; name a regular file");
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
