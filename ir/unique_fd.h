// A file descriptor that closes itself.

#ifndef MONOQUANT_IR_UNIQUE_FD_H_
#define MONOQUANT_IR_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace monoquant {

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }

  bool ok() const { return fd_ >= 0; }
  int get() const { return fd_; }
  // The descriptor, which the caller must close.
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_UNIQUE_FD_H_
