#include "ir/write_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "absl/strings/str_cat.h"
#include "ir/errno_status.h"
#include "ir/errors.h"

namespace monoquant {
namespace {

// Linux transfers at most about 2 GiB a call.
constexpr size_t kMaxTransfer = size_t{1} << 30;

// Less than this is left to the system to write when it will.
constexpr uint64_t kWorthWriting = uint64_t{64} << 10;

absl::Status NoSpaceError(int error, const std::string& path, uint64_t needed,
                          int fd) {
  std::string free = "an unknown number of";
  struct statvfs info;
  if (fstatvfs(fd, &info) == 0) {
    free = absl::StrCat(uint64_t{info.f_bavail} * uint64_t{info.f_frsize});
  }
  return ResourceExhaustedError(
      path, ": ",
      error == EDQUOT ? "the disk quota is used up" : "the disk is full",
      ": the output needs ", needed, " bytes, ", free,
      " bytes are free; free some space or choose another disk");
}

}  // namespace

absl::Status WriteError(int error, const std::string& path, uint64_t needed,
                        int fd) {
  if (error == ENOSPC || error == EDQUOT) {
    return NoSpaceError(error, path, needed, fd);
  }
  if (error == EFBIG) {
    return ResourceExhaustedError(
        path,
        ": the file system or a limit of the process does "
        "not allow a file of ",
        needed, " bytes; choose another disk");
  }
  return ErrnoStatus(error, path, "cannot write");
}

absl::Status ReserveSpace(int fd, const std::string& path, uint64_t size) {
  if (size == 0) return absl::OkStatus();
  if (size > static_cast<uint64_t>(std::numeric_limits<off_t>::max())) {
    return WriteError(EFBIG, path, size, fd);
  }
  // Asked first, since the system ends a process that goes beyond its limit.
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      size > limit.rlim_cur) {
    return WriteError(EFBIG, path, size, fd);
  }
  const off_t length = static_cast<off_t>(size);
  struct stat now;
  if (fstat(fd, &now) == 0 && now.st_size > length &&
      ftruncate(fd, length) != 0) {
    return WriteError(errno, path, size, fd);
  }
#ifdef __linux__
  // Not posix_fallocate, which writes to every block where the file system
  // cannot reserve.
  const int error =
      RetryOnInterrupt([&] { return fallocate(fd, 0, 0, length); });
  if (error == 0) return absl::OkStatus();
  if (error != EOPNOTSUPP && error != ENOSYS && error != EINVAL) {
    return WriteError(error, path, size, fd);
  }
#endif
  struct statvfs info;
  if (fstatvfs(fd, &info) == 0 && info.f_blocks > 0 &&
      size / std::max<uint64_t>(1, info.f_frsize) >= info.f_bavail) {
    return WriteError(ENOSPC, path, size, fd);
  }
  const int truncate_error =
      RetryOnInterrupt([&] { return ftruncate(fd, length); });
  if (truncate_error != 0) return WriteError(truncate_error, path, size, fd);
  return absl::OkStatus();
}

absl::Status WriteFileAt(int fd, const std::string& path, uint64_t size,
                         uint64_t offset, absl::Span<const uint8_t> src) {
  if (offset > size || src.size() > size - offset) {
    return OutOfRangeError(path, ": writing ", src.size(), " bytes at offset ",
                           offset, " goes beyond the planned size of ", size,
                           " bytes");
  }
  [[maybe_unused]] const uint64_t begin = offset;
  while (!src.empty()) {
    const ssize_t n = pwrite(fd, src.data(), std::min(src.size(), kMaxTransfer),
                             static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return WriteError(errno, path, size, fd);
    }
    offset += static_cast<uint64_t>(n);
    src.remove_prefix(static_cast<size_t>(n));
  }
#ifdef __linux__
  // Lets the disk begin now, so that it has little left to do at the end, when
  // the file is synced. What goes wrong here, the sync will tell.
  if (offset - begin >= kWorthWriting) {
    sync_file_range(fd, static_cast<off_t>(begin),
                    static_cast<off_t>(offset - begin), SYNC_FILE_RANGE_WRITE);
  }
#endif
  return absl::OkStatus();
}

}  // namespace monoquant
