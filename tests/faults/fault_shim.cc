// Preloaded into the program: makes a system call that changes a file fail, or
// ends the process at it. Stands between monoquant and the disk, so that what
// is tested is the program that ships.
//
//   FAULT_AT=N     the N-th of these calls, from 0 on; all are counted
//   FAULT=kill     SIGKILL instead of the call
//   FAULT=killed   the call, then SIGKILL
//   FAULT=torn     half of a write, then SIGKILL
//   FAULT=short    half of a write, and on as if nothing had happened
//   FAULT=ERRNO    a number: the call fails with it, and so do all later writes
//   FAULT_COUNT=F  the number of calls goes into the file F at the end

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<long> calls{0};
std::atomic<bool> failing{false};

long FaultAt() {
  static const char* const at = getenv("FAULT_AT");
  return at == nullptr ? -1 : atol(at);
}

const char* Fault() {
  static const char* const fault = getenv("FAULT");
  return fault == nullptr ? "" : fault;
}

bool Is(const char* fault) { return strcmp(Fault(), fault) == 0; }

template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// Does a call, or what is to happen instead. `half` is the call for half of the
// bytes; for calls that are no writes, the call itself.
template <typename Call, typename Half>
auto Do(bool is_write, Call call, Half half) -> decltype(call()) {
  const bool now = calls.fetch_add(1) == FaultAt();
  const int error = atoi(Fault());
  if (error != 0 && (now || (failing && is_write))) {
    failing = failing || is_write;
    errno = error;
    return -1;
  }
  if (!now) return call();
  if (Is("kill")) kill(getpid(), SIGKILL);
  if (Is("short")) return half();
  if (Is("torn")) {
    half();
    kill(getpid(), SIGKILL);
  }
  const auto result = call();
  if (Is("killed")) kill(getpid(), SIGKILL);
  return result;
}

template <typename Call>
auto Do(Call call) {
  return Do(false, call, call);
}

struct Reporter {
  ~Reporter() {
    const char* const path = getenv("FAULT_COUNT");
    if (path == nullptr) return;
    FILE* const file = fopen(path, "w");
    if (file == nullptr) return;
    fprintf(file, "%ld", calls.load());
    fclose(file);
  }
} reporter;

}  // namespace

extern "C" {

ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) {
  using Function = ssize_t(int, const void*, size_t, off64_t);
  static Function* const real = Real<Function>("pwrite64");
  return Do(
      true, [=] { return real(fd, bytes, size, offset); },
      [=] { return real(fd, bytes, (size + 1) / 2, offset); });
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return pwrite64(fd, bytes, size, offset);
}

int fsync(int fd) {
  static auto* const real = Real<int(int)>("fsync");
  return Do([=] { return real(fd); });
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size) {
  using Function = int(int, int, off64_t, off64_t);
  static Function* const real = Real<Function>("fallocate64");
  return Do([=] { return real(fd, mode, offset, size); });
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  return fallocate64(fd, mode, offset, size);
}

int ftruncate64(int fd, off64_t size) {
  static auto* const real = Real<int(int, off64_t)>("ftruncate64");
  return Do([=] { return real(fd, size); });
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int mkdirat(int directory, const char* name, mode_t mode) {
  using Function = int(int, const char*, mode_t);
  static Function* const real = Real<Function>("mkdirat");
  return Do([=] { return real(directory, name, mode); });
}

int unlinkat(int directory, const char* name, int flags) {
  using Function = int(int, const char*, int);
  static Function* const real = Real<Function>("unlinkat");
  return Do([=] { return real(directory, name, flags); });
}

int renameat(int from, const char* old_name, int to, const char* new_name) {
  using Function = int(int, const char*, int, const char*);
  static Function* const real = Real<Function>("renameat");
  return Do([=] { return real(from, old_name, to, new_name); });
}

int renameat2(int from, const char* old_name, int to, const char* new_name,
              unsigned int flags) {
  using Function = int(int, const char*, int, const char*, unsigned int);
  static Function* const real = Real<Function>("renameat2");
  return Do([=] { return real(from, old_name, to, new_name, flags); });
}

}  // extern "C"
