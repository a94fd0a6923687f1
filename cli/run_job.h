// Drives a Job with threads, shows how far it is, and lets the user stop it.

#ifndef MONOQUANT_CLI_RUN_JOB_H_
#define MONOQUANT_CLI_RUN_JOB_H_

#include <atomic>

#include "absl/status/status.h"
#include "cli/progress.h"
#include "core/job.h"

namespace monoquant::cli {

// Runs all phases of `job` with `threads` >= 1 workers. Returns the job's first
// error, or Cancelled once `cancel` is set.
absl::Status RunJob(Job& job, int threads, const std::atomic<bool>& cancel,
                    Progress& progress);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RUN_JOB_H_
