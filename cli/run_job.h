// Drives a Job with threads, shows how far it is, and lets the user stop it.

#ifndef MONOQUANT_CLI_RUN_JOB_H_
#define MONOQUANT_CLI_RUN_JOB_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "cli/progress.h"
#include "core/job.h"
#include "core/plan.h"

namespace monoquant::cli {

// The size of a piece where --chunk-size is not given: 1 MiB, or less where so
// many threads would together need more than 160 MiB. The output is the same
// for any size.
uint64_t ChooseChunkBytes(const Plan& plan, int threads);

// Runs all phases of `job` with `threads` >= 1 workers. Returns the job's first
// error, or Cancelled once `cancel` is set.
absl::Status RunJob(Job& job, int threads, const std::atomic<bool>& cancel,
                    Progress& progress);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RUN_JOB_H_
