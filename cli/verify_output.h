// --verify: reads a finished output back and compares it with what the input
// gives when it is computed again.

#ifndef MONOQUANT_CLI_VERIFY_OUTPUT_H_
#define MONOQUANT_CLI_VERIFY_OUTPUT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/args.h"
#include "cli/job_size.h"
#include "cli/streams.h"
#include "core/plan.h"
#include "ir/checkpoint.h"

namespace monoquant::cli {

// Opens the checkpoint at `path` like any other input and runs `plan`, made
// from the index of `input`, once more, against its bytes: for all tensors or,
// with VerifyMode::kSample, for every eighth. Returns a line that says so, for
// the report.
//
// Aborted, naming the tensor, for the first difference; Cancelled. Errors in
// reading either checkpoint are passed on.
absl::StatusOr<std::string> VerifyOutput(const std::string& path,
                                         const CheckpointReader& input,
                                         const Plan& plan, VerifyMode mode,
                                         const JobSize& size,
                                         ProgressStyle progress_style,
                                         Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_VERIFY_OUTPUT_H_
