#include "ir/local_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/errno_status.h"
#include "ir/errors.h"
#include "ir/output_place.h"
#include "ir/rename_file.h"
#include "ir/status_macros.h"
#include "ir/temporary_file.h"
#include "ir/unique_fd.h"
#include "ir/write_file.h"

namespace monoquant {
namespace {

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

absl::Status ExistsError(const std::string& path) {
  return AlreadyExistsError(
      path, ": already exists; choose another name or allow to replace it");
}

// A file of the temporary directory, open while it is written to.
class FileSink : public ByteSink {
 public:
  FileSink(std::string path, std::string name, uint64_t size, int directory_fd,
           std::atomic<size_t>& complete)
      : path_(std::move(path)),
        name_(std::move(name)),
        size_(size),
        directory_fd_(directory_fd),
        complete_(complete) {}

  const std::string& name() const override { return path_; }

  absl::Status WriteAt(uint64_t offset,
                       absl::Span<const uint8_t> src) override {
    MQ_ASSIGN_OR_RETURN(const int fd, OpenOnce());
    return WriteFileAt(fd, path_, size_, offset, src);
  }

  absl::Status Commit() override {
    MQ_ASSIGN_OR_RETURN(const int fd, OpenOnce());
    const int sync_error = RetryOnInterrupt([&] { return fsync(fd); });
    if (sync_error != 0) return WriteError(sync_error, path_, size_, fd);
    // A network file system may report a failed write here.
    if (close(fd_.Release()) != 0 && errno != EINTR) {
      return WriteError(errno, path_, size_, directory_fd_);
    }
    ++complete_;
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<int> OpenOnce() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!fd_.ok()) {
      fd_ = UniqueFd(openat(directory_fd_, name_.c_str(),
                            O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    }
    if (!fd_.ok()) return ErrnoStatus(errno, path_, "cannot open");
    return fd_.get();
  }

  const std::string path_;  // as messages call it
  const std::string name_;
  const uint64_t size_;
  const int directory_fd_;
  std::atomic<size_t>& complete_;
  std::mutex mutex_;
  UniqueFd fd_;  // guarded until it is open
};

class Directory : public LocalDirectory {
 public:
  Directory(std::string path, const LocalSinkOptions& options)
      : path_(std::move(path)), options_(options) {}

  absl::Status Open();
  absl::StatusOr<std::unique_ptr<ByteSink>> CreateSink(const std::string& name,
                                                       uint64_t size) override;
  absl::Status Commit() override;

 private:
  // A file that Commit has put in place, and what it takes to undo that.
  enum class Placed : uint8_t { kNew, kExchanged, kReplaced };

  std::string PathOf(const std::string& name) const {
    return absl::StrCat(path_, "/", name);
  }
  absl::Status OpenBase();
  absl::Status CheckFree(const std::string& name) const;
  absl::Status PlaceFiles();
  int PlaceFile(const std::string& name, Placed* placed);
  void Undo(const std::vector<Placed>& placed);

  std::string path_;
  const LocalSinkOptions options_;
  bool exists_ = false;  // is to be added to, not created
  std::string name_;     // last component of path_
  // In this order: the temporary directory is removed before the one that it
  // lies in closes.
  UniqueFd base_;  // the directory if it exists, otherwise its parent
  TemporaryDirectory temporary_;
  std::vector<std::string> names_;
  std::atomic<size_t> complete_{0};  // sinks that were committed
};

// Opens the directory in which the temporary one will lie.
absl::Status Directory::OpenBase() {
  base_ = UniqueFd(open(path_.c_str(), kDirectoryFlags));
  exists_ = base_.ok();
  if (exists_) return absl::OkStatus();
  const int error = errno;
  struct stat info;
  if (error == ENOTDIR && stat(path_.c_str(), &info) == 0) {
    return InvalidArgumentError(path_,
                                ": is no directory; choose another name");
  }
  if (error != ENOENT) {
    return ErrnoStatus(error, path_, "cannot open the directory");
  }
  if (lstat(path_.c_str(), &info) == 0) {
    return InvalidArgumentError(
        path_, ": is a link that leads nowhere; choose another name");
  }
  const size_t length = path_.rfind('/') + 1;
  const std::string parent = length == 0 ? "." : path_.substr(0, length);
  base_ = UniqueFd(open(parent.c_str(), kDirectoryFlags));
  if (base_.ok()) return absl::OkStatus();
  if (errno == ENOENT) {
    return NotFoundError(path_, ": there is no directory '", parent,
                         "'; create it first");
  }
  return ErrnoStatus(errno, path_,
                     absl::StrCat("cannot open the directory '", parent, "'"));
}

absl::Status Directory::Open() {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  if (path_.empty()) {
    return InvalidArgumentError("the output directory has no name");
  }
  MQ_RETURN_IF_ERROR(OpenBase());
  name_ = path_.substr(path_.rfind('/') + 1);
  const int error =
      options_.unfinished == Unfinished::kRemove
          ? temporary_.Create(base_.get(), name_)
          : temporary_.Open(base_.get(), PartName(name_),
                            options_.unfinished == Unfinished::kContinue);
  if (error == 0) return absl::OkStatus();
  if (error == ENOSPC || error == EDQUOT) {
    return WriteError(error, path_, 0, base_.get());
  }
  return ErrnoStatus(error, path_, "cannot create a directory for it");
}

// Nothing that may not be replaced has the name of a file.
absl::Status Directory::CheckFree(const std::string& name) const {
  struct stat info;
  if (!exists_ ||
      fstatat(base_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return absl::OkStatus();
  }
  if (!S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
    return InvalidArgumentError(
        PathOf(name), ": is ",
        S_ISDIR(info.st_mode) ? "a directory" : "a special file",
        ", where a file is to be written; choose another output");
  }
  return options_.overwrite ? absl::OkStatus() : ExistsError(PathOf(name));
}

absl::StatusOr<std::unique_ptr<ByteSink>> Directory::CreateSink(
    const std::string& name, uint64_t size) {
  const std::string path = PathOf(name);
  if (name.empty() || name == "." || name == ".." ||
      name.find('/') != std::string::npos) {
    return InvalidArgumentError(path,
                                ": is no name of a file in the directory");
  }
  MQ_RETURN_IF_ERROR(CheckFree(name));
  // A run that goes on has its files already, or some of them.
  const bool may_exist = options_.unfinished == Unfinished::kContinue;
  const UniqueFd fd(openat(
      temporary_.fd(), name.c_str(),
      O_RDWR | O_CREAT | O_CLOEXEC | (may_exist ? O_NOFOLLOW : O_EXCL), 0666));
  if (!fd.ok()) {
    return errno == ENOSPC || errno == EDQUOT
               ? WriteError(errno, path, size, temporary_.fd())
               : ErrnoStatus(errno, path, "cannot create");
  }
  MQ_RETURN_IF_ERROR(ReserveSpace(fd.get(), path, size));
  names_.push_back(name);
  return std::make_unique<FileSink>(path, name, size, temporary_.fd(),
                                    complete_);
}

absl::Status Directory::Commit() {
  if (complete_ != names_.size()) {
    return InternalError(path_, ": ", names_.size(), " files were begun, but ",
                         complete_.load(), " are complete");
  }
  // Some file systems cannot sync a directory; what can be done was done then.
  if (RetryOnInterrupt([&] { return fsync(temporary_.fd()); }) == EIO) {
    return ErrnoStatus(EIO, path_, "cannot sync the directory");
  }
  if (exists_) {
    MQ_RETURN_IF_ERROR(PlaceFiles());
  } else if (const int error = temporary_.Rename(name_); error != 0) {
    return error == EEXIST || error == ENOTEMPTY
               ? ExistsError(path_)
               : ErrnoStatus(error, path_, "cannot put the directory in place");
  }
  if (RetryOnInterrupt([&] { return fsync(base_.get()); }) == EIO) {
    return ErrnoStatus(EIO, path_, "cannot sync the directory");
  }
  return absl::OkStatus();
}

absl::Status Directory::PlaceFiles() {
  std::vector<Placed> placed;
  placed.reserve(names_.size());
  for (const std::string& name : names_) {
    Placed how = Placed::kNew;
    const int error = PlaceFile(name, &how);
    if (error != 0) {
      Undo(placed);
      return error == EEXIST ? ExistsError(PathOf(name))
                             : ErrnoStatus(error, PathOf(name),
                                           "cannot put the file in place");
    }
    placed.push_back(how);
  }
  return absl::OkStatus();
}

// Gives 0 or an errno. A file that was there goes to the temporary directory,
// and disappears with it.
int Directory::PlaceFile(const std::string& name, Placed* placed) {
  const Entry from = {temporary_.fd(), name};
  const Entry to = {base_.get(), name};
  int error = RenameNew(from, to);
  if (error != EEXIST || !options_.overwrite) return error;
  *placed = Placed::kExchanged;
  error = RenameExchange(from, to);
  if (error != EINVAL && error != ENOSYS) return error;
  *placed = Placed::kReplaced;
  return RenameOver(from, to);
}

void Directory::Undo(const std::vector<Placed>& placed) {
  for (size_t i = placed.size(); i-- > 0;) {
    const Entry here = {base_.get(), names_[i]};
    const Entry back = {temporary_.fd(), names_[i]};
    if (placed[i] == Placed::kNew) RenameOver(here, back);
    if (placed[i] == Placed::kExchanged) RenameExchange(here, back);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalDirectory>> LocalDirectory::Create(
    const std::string& path, const LocalSinkOptions& options) {
  auto directory = std::make_unique<Directory>(path, options);
  MQ_RETURN_IF_ERROR(directory->Open());
  return directory;
}

}  // namespace monoquant
