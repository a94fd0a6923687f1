// The threads of monoquant: all of them are here.

#ifndef MONOQUANT_CLI_PARALLEL_H_
#define MONOQUANT_CLI_PARALLEL_H_

#include <atomic>
#include <cstddef>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace monoquant::cli {

// The number of workers for --threads: itself, or one a core for 0.
int ResolveThreads(int threads);

// What a command returns that the user has interrupted.
inline constexpr char kInterrupted[] = "interrupted; nothing was written";

// Does the next piece of a worker's work; false if none is left to begin.
// Called from the thread of worker 0 <= `worker` < `threads`.
using WorkStep = std::function<absl::StatusOr<bool>(int worker)>;

// Calls `step` from `threads` >= 1 threads until nothing is left, a step fails
// or `cancel` is set; then waits for the steps that have begun. `tick` is
// called from the calling thread, some ten times a second and once at the end.
//
// Returns the first error, or Cancelled. If the system gives fewer threads than
// asked for, the work is done by those, in the worst case by the caller's.
absl::Status RunWorkers(int threads, const std::atomic<bool>& cancel,
                        const WorkStep& step,
                        const std::function<void()>& tick);

// RunWorkers for `count` independent items, begun in order.
absl::Status ParallelFor(
    size_t count, int threads, const std::atomic<bool>& cancel,
    const std::function<absl::Status(size_t item, int worker)>& work,
    const std::function<void()>& tick);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_PARALLEL_H_
