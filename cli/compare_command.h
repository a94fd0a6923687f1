// monoquant compare

#ifndef MONOQUANT_CLI_COMPARE_COMMAND_H_
#define MONOQUANT_CLI_COMPARE_COMMAND_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"

namespace monoquant::cli {

struct CompareArgs {
  InputArgs original;
  InputArgs other;
  // How many float tensors to list, the worst first; 0: all. Absent: 20 in a
  // table, all in a document.
  std::optional<int64_t> top;
  // The quality gate in dB.
  std::optional<double> fail_under;
  RunArgs run;
  ReportArgs report;
};

// Prints how far `other` is from `original`, both seen as floats.
//
// Aborted if there is a gate and a tensor does not pass it: its SQNR is lower,
// a value became NaN or infinite, it is no float and differs, it is missing, or
// it cannot be compared. Extra tensors do no harm.
absl::Status RunCompare(const CompareArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_COMPARE_COMMAND_H_
