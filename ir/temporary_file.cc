#include "ir/temporary_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "ir/errno_status.h"
#include "ir/rename_file.h"

namespace monoquant {
namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// ".NAME.mq-XXXXXX.tmp", with NAME cut where the whole would be too long.
std::string TemporaryName(absl::string_view name) {
  constexpr absl::string_view kLetters = "abcdefghijklmnopqrstuvwxyz012345";
  uint8_t random[6] = {};
  // Without randomness the name clashes at worst, which O_EXCL finds.
  if (getentropy(random, sizeof(random)) != 0) random[0] = 0;
  std::string suffix = ".mq-";
  for (uint8_t byte : random) suffix.push_back(kLetters[byte % 32]);
  suffix += ".tmp";
  return absl::StrCat(".", name.substr(0, kMaxNameBytes - 1 - suffix.size()),
                      suffix);
}

// Keeps a signal handler of this thread from running between the creation of
// a file and its entry into the table of pending ones.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

// Calls `create` with new temporary names until one is free; gives 0 or errno.
template <typename Function>
int CreateUnderTemporaryName(absl::string_view name, std::string* temporary,
                             Function create) {
  constexpr int kAttempts = 100;
  int error = EEXIST;
  for (int i = 0; i < kAttempts && error == EEXIST; ++i) {
    *temporary = TemporaryName(name);
    error = create(temporary->c_str()) ? 0 : errno;
  }
  return error;
}

}  // namespace

TemporaryFile::~TemporaryFile() {
  if (remove_) unlinkat(directory_fd_, name_.c_str(), 0);
}

int TemporaryFile::Create(int directory_fd, absl::string_view name) {
  const BlockSignals block;
  const auto create = [&](const char* temporary) {
    fd_ = UniqueFd(openat(directory_fd, temporary,
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    return fd_.ok();
  };
  const int error = CreateUnderTemporaryName(name, &name_, create);
  if (error != 0) return error;
  directory_fd_ = directory_fd;
  remove_ = true;
  pending_.emplace(directory_fd, name_, PendingFile::Kind::kFile);
  return 0;
}

int TemporaryFile::Open(int directory_fd, const std::string& name,
                        bool keep_content) {
  constexpr int kFlags = O_RDWR | O_NOFOLLOW | O_CLOEXEC;
  directory_fd_ = directory_fd;
  name_ = name;
  if (keep_content) {
    fd_ = UniqueFd(openat(directory_fd, name.c_str(), kFlags));
    if (!fd_.ok()) return errno;
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) return errno;
    return S_ISREG(info.st_mode) && info.st_uid == geteuid() ? 0 : EPERM;
  }
  RemoveFileOrFlatDirectory(directory_fd, name.c_str());
  fd_ = UniqueFd(
      openat(directory_fd, name.c_str(), kFlags | O_CREAT | O_EXCL, 0666));
  return fd_.ok() ? 0 : errno;
}

int TemporaryFile::SyncAndClose() {
  const int error = RetryOnInterrupt([&] { return fsync(fd_.get()); });
  if (error != 0) return error;
  // A network file system may report a failed write here.
  return close(fd_.Release()) == 0 || errno == EINTR ? 0 : errno;
}

int TemporaryFile::Rename(const std::string& name, bool overwrite) {
  const Entry from = {directory_fd_, name_};
  const Entry to = {directory_fd_, name};
  const int error = overwrite ? RenameOver(from, to) : RenameNew(from, to);
  if (error == 0) {
    remove_ = false;
    pending_.reset();
  }
  return error;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (remove_) RemoveFlatDirectory(parent_fd_, name_.c_str());
}

int TemporaryDirectory::Create(int parent_fd, absl::string_view name) {
  const BlockSignals block;
  const auto create = [&](const char* temporary) {
    return mkdirat(parent_fd, temporary, 0777) == 0;
  };
  const int error = CreateUnderTemporaryName(name, &name_, create);
  if (error != 0) return error;
  parent_fd_ = parent_fd;
  remove_ = true;
  pending_.emplace(parent_fd, name_, PendingFile::Kind::kDirectory);
  fd_ = UniqueFd(openat(parent_fd, name_.c_str(), kDirectoryFlags));
  return fd_.ok() ? 0 : errno;
}

int TemporaryDirectory::Open(int parent_fd, const std::string& name,
                             bool keep_content) {
  parent_fd_ = parent_fd;
  name_ = name;
  if (!keep_content) {
    RemoveFileOrFlatDirectory(parent_fd, name.c_str());
    if (mkdirat(parent_fd, name.c_str(), 0777) != 0) return errno;
  }
  fd_ = UniqueFd(openat(parent_fd, name.c_str(), kDirectoryFlags));
  if (!fd_.ok()) return errno;
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) return errno;
  return info.st_uid == geteuid() ? 0 : EPERM;
}

int TemporaryDirectory::Rename(const std::string& name) {
  const int error = RenameNew({parent_fd_, name_}, {parent_fd_, name});
  if (error == 0) {
    remove_ = false;
    pending_.reset();
  }
  return error;
}

}  // namespace monoquant
