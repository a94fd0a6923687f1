// What a job has finished, in a form in which a later job can take it over.

#ifndef MONOQUANT_CORE_FINISHED_PIECE_H_
#define MONOQUANT_CORE_FINISHED_PIECE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/error_stats.h"

namespace monoquant {

// Bytes of an output tensor that were emitted.
struct FinishedRange {
  size_t output = 0;  // index into Manifest::tensors
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t crc32 = 0;  // of the bytes, as in zip

  bool operator==(const FinishedRange&) const = default;
};

// One piece of a job (core/job.h) that is done. Which elements a piece has
// follows from the plan and the job's chunk_bytes.
struct FinishedPiece {
  // Stands for the scales of a tensor whose scales take more than one piece:
  // they are finished on their own.
  static constexpr uint64_t kScales = ~uint64_t{0};

  size_t tensor = 0;   // index into Plan::tensors
  uint64_t piece = 0;  // of the tensor
  ErrorStats error;
  uint64_t nonfinite = 0;
  std::vector<FinishedRange> ranges;
};

// A few dozen bytes, the same on every machine, and back. The inverse gives
// DataLoss for text that the function does not write.
std::string EncodeFinishedPiece(const FinishedPiece& piece);
absl::StatusOr<FinishedPiece> DecodeFinishedPiece(absl::string_view text);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_FINISHED_PIECE_H_
