#include "ir/pending_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace monoquant {
namespace {

enum SlotState : int { kFree, kFilling, kFilled };

struct Slot {
  std::atomic<int> state{kFree};
  PendingFile::Kind kind;
  int directory_fd;
  char name[256];
};

// A signal handler may neither allocate nor lock, so the table is fixed and a
// slot's content is only looked at in state kFilled.
static_assert(std::atomic<int>::is_always_lock_free);
Slot slots[kMaxPendingFiles];

#ifdef __linux__

// What the kernel gives: the C library's readdir allocates.
struct KernelEntry {
  uint64_t inode;
  int64_t next;
  uint16_t size;
  uint8_t type;
  char name[1];  // as long as it is
};

// Removes some of the files in an open directory; false if there were none, or
// none that could be removed.
bool RemoveSomeFiles(int directory_fd) {
  alignas(KernelEntry) char buffer[4096];
  lseek(directory_fd, 0, SEEK_SET);
  bool removed = false;
  while (true) {
    const long size =
        syscall(SYS_getdents64, directory_fd, buffer, sizeof(buffer));
    if (size <= 0) return removed;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const KernelEntry*>(buffer + at);
      removed |= unlinkat(directory_fd, entry->name, 0) == 0;
      at += entry->size;
    }
  }
}

#else

// Not for a signal handler here, but for a thread that waits for signals.
bool RemoveSomeFiles(int directory_fd) {
  DIR* const stream = fdopendir(dup(directory_fd));
  if (stream == nullptr) return false;
  rewinddir(stream);
  bool removed = false;
  while (const dirent* entry = readdir(stream)) {
    removed |= unlinkat(directory_fd, entry->d_name, 0) == 0;
  }
  closedir(stream);
  return removed;
}

#endif

}  // namespace

PendingFile::PendingFile(int directory_fd, absl::string_view name, Kind kind)
    : slot_(-1) {
  if (name.size() >= sizeof(Slot::name)) return;
  for (int i = 0; i < kMaxPendingFiles; ++i) {
    int expected = kFree;
    if (!slots[i].state.compare_exchange_strong(expected, kFilling)) continue;
    slots[i].kind = kind;
    slots[i].directory_fd = directory_fd;
    std::memcpy(slots[i].name, name.data(), name.size());
    slots[i].name[name.size()] = '\0';
    slots[i].state.store(kFilled);
    slot_ = i;
    return;
  }
}

PendingFile::~PendingFile() {
  if (slot_ >= 0) slots[slot_].state.store(kFree);
}

void RemovePendingFiles() {
  for (Slot& slot : slots) {
    if (slot.state.load() != kFilled) continue;
    if (slot.kind == PendingFile::Kind::kDirectory) {
      RemoveFlatDirectory(slot.directory_fd, slot.name);
    } else {
      unlinkat(slot.directory_fd, slot.name, 0);
    }
  }
}

void RemoveFlatDirectory(int parent_fd, const char* name) {
  const int fd =
      openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) {
    // Removing entries while they are listed may hide others.
    while (RemoveSomeFiles(fd)) {
    }
    close(fd);
  }
  unlinkat(parent_fd, name, AT_REMOVEDIR);
}

void RemoveFileOrFlatDirectory(int parent_fd, const char* name) {
  if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT) return;
  RemoveFlatDirectory(parent_fd, name);
}

}  // namespace monoquant
