#include "cli/job_size.h"

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cli/human.h"
#include "cli/parallel.h"
#include "ir/errors.h"

namespace monoquant::cli {
namespace {

// A piece stays in the second-level cache from its reading to its writing.
constexpr uint64_t kLargestChunk = uint64_t{1} << 20;
constexpr uint64_t kSmallestChunk = uint64_t{64} << 10;
constexpr uint64_t kMemoryBudget = uint64_t{160} << 20;

// Beside what a plan knows of: what the heap wastes, reports, and buffers of
// the files.
constexpr uint64_t kReserve = uint64_t{4} << 20;
// The program itself and an index of some size, where the system does not say.
constexpr uint64_t kUnknownUse = uint64_t{16} << 20;

// Resident memory of this process, program and index included.
uint64_t MemoryInUse() {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t kib = 0;
  while (status >> word) {
    if (word == "VmRSS:" && status >> kib) return kib << 10;
  }
  return kUnknownUse;
}

}  // namespace

absl::StatusOr<JobSize> ChooseJobSize(const Plan& plan, const RunArgs& run) {
  JobSize size;
  size.threads = ResolveThreads(run.threads);
  size.chunk_bytes = run.chunk_bytes != 0 ? run.chunk_bytes : kLargestChunk;
  const uint64_t in_use = run.max_memory != 0 ? MemoryInUse() + kReserve : 0;
  const uint64_t limit = run.max_memory != 0 ? run.max_memory : kMemoryBudget;
  const auto need = [&] {
    return in_use + PeakMemory(plan, size.threads, size.chunk_bytes);
  };
  while (need() > limit) {
    if (run.chunk_bytes == 0 && size.chunk_bytes > kSmallestChunk) {
      size.chunk_bytes /= 2;
    } else if (run.max_memory != 0 && size.threads > 1) {
      --size.threads;
    } else {
      break;
    }
  }
  if (run.max_memory == 0 || need() <= limit) return size;
  return ResourceExhaustedError(absl::StrCat(
      "--max-memory ", HumanBytes(run.max_memory), ": this run takes ",
      HumanBytes(need()), " with one thread and pieces of ",
      HumanBytes(size.chunk_bytes), ", ", HumanBytes(in_use),
      " of it for the program and the checkpoint's index",
      run.chunk_bytes > kSmallestChunk ? "; leave out --chunk-size" : "",
      "; allow more"));
}

}  // namespace monoquant::cli
