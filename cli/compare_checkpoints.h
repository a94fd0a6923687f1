// Two checkpoints side by side, tensor by tensor.

#ifndef MONOQUANT_CLI_COMPARE_CHECKPOINTS_H_
#define MONOQUANT_CLI_COMPARE_CHECKPOINTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/progress.h"
#include "core/error_stats.h"
#include "ir/checkpoint.h"

namespace monoquant::cli {

// Tensors of the same name, as indices.
struct TensorPair {
  size_t original = 0;
  size_t other = 0;
};

// A pair of float tensors of one shape, of any width.
struct FloatComparison {
  TensorPair pair;
  // The other against the original.
  ErrorStats error;
  // Values that are finite in the original but not in the other. `error`
  // leaves them out.
  uint64_t became_nonfinite = 0;

  // True if all values are equal and could be compared.
  bool Identical() const;
  // In dB; -infinity if a value became NaN or infinite.
  double SqnrDb() const;
};

struct CheckpointComparison {
  // The pairs of floats, worst first.
  std::vector<FloatComparison> floats;
  // How many pairs of other types were compared byte by byte, and those that
  // differ.
  size_t num_others = 0;
  std::vector<TensorPair> different;
  // Pairs that cannot be compared: of another shape, or another type where one
  // of them is not a float.
  std::vector<TensorPair> mismatched;
  // Names, in the order of their files.
  std::vector<std::string> missing;  // in the original only
  std::vector<std::string> extra;    // in the other only
};

// Compares every tensor, with `threads` workers in bounded memory. The result
// is the same for any number of them.
absl::StatusOr<CheckpointComparison> CompareCheckpoints(
    const CheckpointReader& original, const CheckpointReader& other,
    int threads, const std::atomic<bool>& cancel, Progress& progress);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_COMPARE_CHECKPOINTS_H_
