// SHA-256 of tensors, for telling whether two files hold the same ones.

#ifndef MONOQUANT_CLI_HASH_TENSORS_H_
#define MONOQUANT_CLI_HASH_TENSORS_H_

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cli/progress.h"
#include "ir/checkpoint.h"

namespace monoquant::cli {

// The hexadecimal SHA-256 of the contiguous little-endian bytes of each of
// `tensors` (indices into the reader's index), in that order. Reads pieces of
// 1 MiB with `threads` workers. Cancelled once `cancel` is set.
absl::StatusOr<std::vector<std::string>> HashTensors(
    const CheckpointReader& reader, absl::Span<const size_t> tensors,
    int threads, const std::atomic<bool>& cancel, Progress& progress);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_HASH_TENSORS_H_
