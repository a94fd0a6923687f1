// What GPTQ and AWQ have in common: weights in words of 32 bits beside scales,
// zero points and a configuration of few entries.

#ifndef MONOQUANT_FRONTENDS_ENGINES_WORD_WEIGHTS_H_
#define MONOQUANT_FRONTENDS_ENGINES_WORD_WEIGHTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/engines/engine_weights.h"
#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"

namespace monoquant {

struct WordConfig {
  std::optional<int64_t> bits;
  // Columns of a group; -1: all.
  std::optional<int64_t> group_size;
  // Whether all zero points are in the middle of the levels; they are stored
  // all the same.
  bool symmetric = false;
  // Whether layers may have other bits and groups than these.
  bool mixed = false;
};

// DataLoss for entries of a wrong type or out of range.
absl::StatusOr<WordConfig> ReadWordConfig(const EngineWeights& weights);

// "checkpoint_format", "format" or "version", whichever there is, in lower
// case; empty if there is none. DataLoss if it is no text.
absl::StatusOr<std::string> ReadWordFormat(const EngineWeights& weights);

// Unimplemented if the codes are not I32, DataLoss if they have not two
// dimensions.
absl::Status CheckWords(const EngineWeights& weights, const TensorInfo& codes);

// DataLoss for zero points or groups of columns without codes:
// "M.qzeros" and "M.g_idx" without "M.qweight".
absl::Status CheckNoOrphans(const EngineWeights& weights);

// The scheme of a weight with codes of `bits`, 4 or 8, that has `columns` of
// them in a row, as scales of [groups, rows] divide these. DataLoss if they do
// not, or in another way than the configuration says; Unimplemented if the last
// group of a row is shorter than the others.
absl::StatusOr<QuantScheme> WordScheme(const EngineWeights& weights,
                                       const WordConfig& config,
                                       const TensorInfo& codes, int bits,
                                       int64_t columns,
                                       const TensorInfo& scales);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_WORD_WEIGHTS_H_
