#include "ir/pending_files.h"

#include <unistd.h>

#include <atomic>
#include <cstring>

namespace monoquant {
namespace {

enum SlotState : int { kFree, kFilling, kFilled };

struct Slot {
  std::atomic<int> state{kFree};
  int directory_fd;
  char name[256];
};

// A signal handler may neither allocate nor lock, so the table is fixed and a
// slot's content is only looked at in state kFilled.
static_assert(std::atomic<int>::is_always_lock_free);
Slot slots[kMaxPendingFiles];

}  // namespace

PendingFile::PendingFile(int directory_fd, absl::string_view name) : slot_(-1) {
  if (name.size() >= sizeof(Slot::name)) return;
  for (int i = 0; i < kMaxPendingFiles; ++i) {
    int expected = kFree;
    if (!slots[i].state.compare_exchange_strong(expected, kFilling)) continue;
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
    if (slot.state.load() == kFilled) {
      unlinkat(slot.directory_fd, slot.name, 0);
    }
  }
}

}  // namespace monoquant
