// What an interrupted run has finished, looked at again before it is relied on.

#ifndef MONOQUANT_CLI_FINISHED_PARTS_H_
#define MONOQUANT_CLI_FINISHED_PARTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cli/progress.h"
#include "core/finished_piece.h"

namespace monoquant::cli {

// Where the payload of an output tensor begins.
struct PayloadPlace {
  size_t file = 0;
  uint64_t offset = 0;
};

// The pieces that `records`, made by EncodeFinishedPiece, tell of and whose
// bytes are in `files` as they were written: all of them are read and summed,
// by `threads` workers. Each piece comes once; one that cannot be read, or has
// changed, is left out. `place` says where an output tensor, one of
// `num_outputs`, lies.
//
// Cancelled once `cancel` is set; no other error.
absl::StatusOr<std::vector<FinishedPiece>> FindFinishedParts(
    absl::Span<const std::string> records, absl::Span<const std::string> files,
    size_t num_outputs, const std::function<PayloadPlace(size_t output)>& place,
    int threads, const std::atomic<bool>& cancel, Progress& progress);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_FINISHED_PARTS_H_
