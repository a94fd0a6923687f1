// How much a run does at once: threads and bytes, within the memory there is.

#ifndef MONOQUANT_CLI_JOB_SIZE_H_
#define MONOQUANT_CLI_JOB_SIZE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "cli/args.h"
#include "core/plan.h"

namespace monoquant::cli {

struct JobSize {
  int threads = 1;
  uint64_t chunk_bytes = 0;
};

// Pieces of 1 MiB where --chunk-size is not given, and as many threads as there
// are cores where --threads is not; less of either, down to 64 KiB and one
// thread, where the process would otherwise take more than --max-memory (or,
// without it, the pieces more than 160 MiB). The output is the same for any
// size.
//
// ResourceExhausted, with what it takes, if --max-memory cannot be kept.
absl::StatusOr<JobSize> ChooseJobSize(const Plan& plan, const RunArgs& run);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_JOB_SIZE_H_
