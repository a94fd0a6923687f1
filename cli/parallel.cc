#include "cli/parallel.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "ir/errors.h"

namespace monoquant::cli {
namespace {

constexpr auto kTickInterval = std::chrono::milliseconds(100);

// What the workers of one RunWorkers share.
class Crew {
 public:
  Crew(const std::atomic<bool>& cancel, const WorkStep& step)
      : cancel_(cancel), step_(step) {}

  // The life of one worker.
  void Work(int worker) {
    while (!stop_.load(std::memory_order_relaxed)) {
      if (cancel_.load(std::memory_order_relaxed)) {
        Stop(CancelledError(kInterrupted));
        break;
      }
      const absl::StatusOr<bool> more = step_(worker);
      if (!more.ok()) Stop(more.status());
      if (!more.ok() || !*more) break;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    --running_;
    changed_.notify_all();
  }

  // Called before a worker begins, and again if it could not.
  void CountWorker(int change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    running_ += change;
  }

  // Waits for the next tick; false once no worker is running.
  bool WaitForTick() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait_for(lock, kTickInterval, [&] { return running_ == 0; });
    return running_ > 0;
  }

  // After the last worker.
  const absl::Status& status() const { return status_; }

 private:
  void Stop(const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = status;
    stop_.store(true, std::memory_order_relaxed);
  }

  const std::atomic<bool>& cancel_;
  const WorkStep& step_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_ = 0;      // guarded by mutex_
  absl::Status status_;  // guarded by mutex_; the first error
};

}  // namespace

int ResolveThreads(int threads) {
  if (threads > 0) return threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

absl::Status RunWorkers(int threads, const std::atomic<bool>& cancel,
                        const WorkStep& step,
                        const std::function<void()>& tick) {
  Crew crew(cancel, step);
  std::vector<std::thread> workers;
  workers.reserve(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i) {
    crew.CountWorker(1);
    // The only way in which std::thread reports that there is no thread left.
    try {
      workers.emplace_back([&crew, i] { crew.Work(i); });
    } catch (const std::system_error&) {
      crew.CountWorker(-1);
      break;
    }
  }
  if (workers.empty()) {
    crew.CountWorker(1);
    crew.Work(0);
  }
  while (crew.WaitForTick()) tick();
  for (std::thread& worker : workers) worker.join();
  tick();
  return crew.status();
}

absl::Status ParallelFor(
    size_t count, int threads, const std::atomic<bool>& cancel,
    const std::function<absl::Status(size_t item, int worker)>& work,
    const std::function<void()>& tick) {
  std::atomic<size_t> next{0};
  const auto step = [&](int worker) -> absl::StatusOr<bool> {
    const size_t item = next.fetch_add(1, std::memory_order_relaxed);
    if (item >= count) return false;
    absl::Status status = work(item, worker);
    if (!status.ok()) return status;
    return true;
  };
  return RunWorkers(threads, cancel, step, tick);
}

}  // namespace monoquant::cli
