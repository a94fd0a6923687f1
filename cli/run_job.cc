#include "cli/run_job.h"

#include <cstddef>
#include <vector>

#include "cli/parallel.h"
#include "cli/timer.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
absl::Status RunJob(Job& job, int threads, const std::atomic<bool>& cancel,
                    Progress& progress) {
  const Timer timer;
  const auto tick = [&] {
    progress.Update(job.bytes_done(), job.bytes_total(), timer.seconds());
  };
  progress.Begin(job.bytes_done());
  std::vector<Job::Worker> workers(static_cast<size_t>(threads));
  for (int phase = 0; phase < job.num_phases(); ++phase) {
    const auto step = [&](int worker) {
      return job.Step(phase, workers[static_cast<size_t>(worker)]);
    };
    MQ_RETURN_IF_ERROR(RunWorkers(threads, cancel, step, tick));
  }
  return absl::OkStatus();
}

}  // namespace monoquant::cli
