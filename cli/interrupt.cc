#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>

#include "absl/status/status.h"
#include "cli/parallel.h"
#include "ir/errors.h"
#include "ir/local_files.h"

namespace monoquant::cli {
namespace {

constexpr time_t kGraceSeconds = 2;

std::atomic<bool> interrupted{false};
// Claimed by whoever ends the process.
std::atomic_flag ending = ATOMIC_FLAG_INIT;
sigset_t watched_signals;  // set before the thread that reads it starts

// A thread of its own receives the signals, so that nothing here is bound by
// what a signal handler may do.
void* Watch(void*) {
  int signal = 0;
  while (sigwait(&watched_signals, &signal) != 0) {
  }
  interrupted.store(true);
  const timespec grace = {kGraceSeconds, 0};
  sigtimedwait(&watched_signals, nullptr, &grace);
  if (ending.test_and_set()) return nullptr;
  RemovePendingOutputs();
  dprintf(STDERR_FILENO, "monoquant: error: %s\n", kInterrupted);
  _exit(GetErrorRow(absl::StatusCode::kCancelled).exit_code);
}

}  // namespace

const std::atomic<bool>& WatchInterrupts() {
  sigemptyset(&watched_signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction action;
    if (sigaction(signal, nullptr, &action) != 0) continue;
    if (action.sa_handler != SIG_IGN) sigaddset(&watched_signals, signal);
  }
  sigset_t previous;
  pthread_sigmask(SIG_BLOCK, &watched_signals, &previous);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, &Watch, nullptr) == 0) {
    pthread_detach(thread);
  } else {
    // Without the thread the signals end the process as they always do.
    pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  }
  return interrupted;
}

void EndUninterrupted() {
  if (!ending.test_and_set()) return;
  while (true) pause();
}

}  // namespace monoquant::cli
