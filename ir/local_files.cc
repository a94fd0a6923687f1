// Sources: single files and checkpoints of files. Sinks are in local_sink.cc.

#include "ir/local_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/errno_status.h"
#include "ir/errors.h"
#include "ir/sort.h"
#include "ir/status_macros.h"
#include "ir/unique_fd.h"

namespace monoquant {
namespace {

static_assert(sizeof(off_t) == 8, "files may have more than 2 GiB");

// Linux transfers at most about 2 GiB a call.
constexpr size_t kMaxTransfer = size_t{1} << 30;

class LocalSource : public ByteSource {
 public:
  LocalSource(std::string name, UniqueFd fd, uint64_t size)
      : name_(std::move(name)), fd_(std::move(fd)), size_(size) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }

  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    if (offset > size_ || dst.size() > size_ - offset) {
      return OutOfRangeError(name_, ": reading ", dst.size(),
                             " bytes at offset ", offset,
                             " goes beyond the end at ", size_, " bytes");
    }
    while (!dst.empty()) {
      const ssize_t n =
          pread(fd_.get(), dst.data(), std::min(dst.size(), kMaxTransfer),
                static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoStatus(errno, name_, "cannot read");
      }
      if (n == 0) {
        return DataLossError(
            name_, ": became shorter while it was read: it had ", size_,
            " bytes and now ends before byte ", offset + 1);
      }
      offset += static_cast<uint64_t>(n);
      dst.remove_prefix(static_cast<size_t>(n));
    }
    return absl::OkStatus();
  }

 private:
  std::string name_;
  UniqueFd fd_;
  uint64_t size_;
};

// What is in front of the last component of `path`, with its separator.
std::string DirectoryPart(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

// The entries of `directory` that are or lead to regular files, sorted.
absl::StatusOr<std::vector<std::string>> ListFiles(
    const std::string& directory) {
  const std::unique_ptr<DIR, CloseDirectory> stream(
      opendir(directory.empty() ? "." : directory.c_str()));
  if (stream == nullptr) {
    return ErrnoStatus(errno, directory, "cannot list the directory");
  }
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    struct stat info;
    if (fstatat(dirfd(stream.get()), entry->d_name, &info, 0) == 0 &&
        S_ISREG(info.st_mode)) {
      names.push_back(entry->d_name);
    }
  }
  if (errno != 0) {
    return ErrnoStatus(errno, directory, "cannot list the directory");
  }
  Sort(names);
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ByteSource>> OpenLocalFile(
    const std::string& path) {
  // Without O_NONBLOCK, opening a pipe would wait for a writer.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return ErrnoStatus(errno, path, "cannot open");
  struct stat info;
  if (fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, path, "cannot examine");
  }
  if (!S_ISREG(info.st_mode)) {
    return InvalidArgumentError(
        path, ": is ", S_ISDIR(info.st_mode) ? "a directory" : "a special file",
        ", expected a regular file");
  }
  return std::make_unique<LocalSource>(path, std::move(fd),
                                       static_cast<uint64_t>(info.st_size));
}

absl::StatusOr<CheckpointFiles> OpenLocalCheckpoint(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return ErrnoStatus(errno, path, "cannot open");
  }
  CheckpointFiles files;
  files.path = path;
  files.is_directory = S_ISDIR(info.st_mode);
  std::string directory;
  if (files.is_directory) {
    directory = path.back() == '/' ? path : path + "/";
    MQ_ASSIGN_OR_RETURN(files.names, ListFiles(directory));
  } else {
    MQ_RETURN_IF_ERROR(OpenLocalFile(path).status());
    directory = DirectoryPart(path);
    files.main = path.substr(directory.size());
    absl::StatusOr<std::vector<std::string>> beside = ListFiles(directory);
    if (beside.ok()) files.names = *std::move(beside);
    if (!std::binary_search(files.names.begin(), files.names.end(),
                            files.main)) {
      files.names = {files.main};
    }
  }
  files.open = [names = files.names, directory](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    if (!std::binary_search(names.begin(), names.end(), name)) {
      return NotFoundError(directory, name,
                           ": no such file beside the checkpoint's others");
    }
    MQ_ASSIGN_OR_RETURN(std::unique_ptr<ByteSource> source,
                        OpenLocalFile(absl::StrCat(directory, name)));
    return std::shared_ptr<ByteSource>(std::move(source));
  };
  return files;
}

bool SameFile(const std::string& a, const std::string& b) {
  struct stat info_a;
  struct stat info_b;
  return stat(a.c_str(), &info_a) == 0 && stat(b.c_str(), &info_b) == 0 &&
         info_a.st_dev == info_b.st_dev && info_a.st_ino == info_b.st_ino;
}

}  // namespace monoquant
