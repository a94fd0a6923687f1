#include "ir/temporary_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "ir/errno_status.h"

namespace monoquant {
namespace {

constexpr size_t kMaxNameBytes = 255;

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

}  // namespace

TemporaryFile::~TemporaryFile() {
  if (directory_fd_ >= 0) unlinkat(directory_fd_, name_.c_str(), 0);
}

int TemporaryFile::Create(int directory_fd, absl::string_view name) {
  const BlockSignals block;
  constexpr int kAttempts = 100;
  int error = EEXIST;
  for (int i = 0; i < kAttempts && error == EEXIST; ++i) {
    name_ = TemporaryName(name);
    fd_ = UniqueFd(openat(directory_fd, name_.c_str(),
                          O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    error = fd_.ok() ? 0 : errno;
  }
  if (error == 0) {
    directory_fd_ = directory_fd;
    pending_.emplace(directory_fd, name_);
  }
  return error;
}

int TemporaryFile::SyncAndClose() {
  const int error = RetryOnInterrupt([&] { return fsync(fd_.get()); });
  if (error != 0) return error;
  // A network file system may report a failed write here.
  return close(fd_.Release()) == 0 || errno == EINTR ? 0 : errno;
}

int TemporaryFile::Rename(const std::string& name, bool overwrite) {
  const int error = overwrite ? RenameOver(name) : RenameNew(name);
  if (error == 0) {
    directory_fd_ = -1;
    pending_.reset();
  }
  return error;
}

int TemporaryFile::RenameOver(const std::string& name) {
  const int result =
      renameat(directory_fd_, name_.c_str(), directory_fd_, name.c_str());
  return result == 0 ? 0 : errno;
}

int TemporaryFile::RenameNew(const std::string& name) {
#ifdef RENAME_NOREPLACE
  if (renameat2(directory_fd_, name_.c_str(), directory_fd_, name.c_str(),
                RENAME_NOREPLACE) == 0) {
    return 0;
  }
  if (errno != EINVAL && errno != ENOSYS) return errno;
#endif
  // File systems without that operation: a second name is made only if it is
  // free, then the first one goes.
  if (linkat(directory_fd_, name_.c_str(), directory_fd_, name.c_str(), 0) ==
      0) {
    unlinkat(directory_fd_, name_.c_str(), 0);
    return 0;
  }
  if (errno == EEXIST) return EEXIST;
  // File systems without hard links: look, then rename.
  struct stat info;
  if (fstatat(directory_fd_, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) {
    return EEXIST;
  }
  return RenameOver(name);
}

}  // namespace monoquant
