#include "ir/rename_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace monoquant {

int RenameNew(Entry from, Entry to) {
#ifdef RENAME_NOREPLACE
  if (renameat2(from.directory_fd, from.name.c_str(), to.directory_fd,
                to.name.c_str(), RENAME_NOREPLACE) == 0) {
    return 0;
  }
  if (errno != EINVAL && errno != ENOSYS) return errno;
#endif
  // File systems without that operation: a second name is made only if it is
  // free, then the first one goes.
  if (linkat(from.directory_fd, from.name.c_str(), to.directory_fd,
             to.name.c_str(), 0) == 0) {
    unlinkat(from.directory_fd, from.name.c_str(), 0);
    return 0;
  }
  if (errno == EEXIST) return EEXIST;
  // Without hard links, or for a directory: look, then rename.
  struct stat info;
  if (fstatat(to.directory_fd, to.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) ==
      0) {
    return EEXIST;
  }
  return RenameOver(from, to);
}

int RenameOver(Entry from, Entry to) {
  return renameat(from.directory_fd, from.name.c_str(), to.directory_fd,
                  to.name.c_str()) == 0
             ? 0
             : errno;
}

int RenameExchange(Entry a, Entry b) {
#ifdef RENAME_EXCHANGE
  return renameat2(a.directory_fd, a.name.c_str(), b.directory_fd,
                   b.name.c_str(), RENAME_EXCHANGE) == 0
             ? 0
             : errno;
#else
  static_cast<void>(a);
  static_cast<void>(b);
  return ENOSYS;
#endif
}

}  // namespace monoquant
