// How the values of a tensor are distributed, alone or beside another version
// of it: what a person looks at to see what quantization did.

#ifndef MONOQUANT_CORE_TENSOR_SURVEY_H_
#define MONOQUANT_CORE_TENSOR_SURVEY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/error_stats.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant {

// A tensor of an open checkpoint. The reader is kept alive.
struct SurveyedTensor {
  std::shared_ptr<const CheckpointReader> reader;
  size_t tensor = 0;  // index into CheckpointIndex::tensors
};

// The figures of one tensor. NaN and infinities count in `nonfinite` only.
struct ValueSummary {
  uint64_t count = 0;  // finite values
  uint64_t nonfinite = 0;
  uint64_t zeros = 0;
  // 0 without finite values.
  double min = 0;
  double max = 0;
  double sum = 0;
  double sum_of_squares = 0;

  double Mean() const;
  // Of the values themselves, not an estimate for a larger population.
  double StandardDeviation() const;
};

// Reads each tensor twice, a piece of half a megabyte at a time: once for the
// range, once to count. Not thread-safe.
class TensorSurvey {
 public:
  static constexpr size_t kMinBins = 2;
  static constexpr size_t kMaxBins = 1024;

  // InvalidArgument for a tensor that is no float, another one of another shape
  // or that is no float, and for a number of bins out of range.
  static absl::StatusOr<std::unique_ptr<TensorSurvey>> Create(
      SurveyedTensor tensor, std::optional<SurveyedTensor> other, size_t bins);

  // Reads the next piece; false if none was left. Errors are those of the
  // readers.
  absl::StatusOr<bool> Step();

  uint64_t bytes_done() const { return bytes_done_; }
  uint64_t bytes_total() const { return bytes_total_; }

  // After the last step: what wasm/monoquant_c.h says of mq_survey.
  // FailedPrecondition before.
  absl::StatusOr<Json> Describe() const;

 private:
  struct Side {
    SurveyedTensor where;
    ValueSummary summary;
    std::vector<uint64_t> bins;
    std::vector<uint8_t> bytes;
    std::vector<float> values;
  };

  TensorSurvey() = default;

  absl::Status ReadPiece(Side& side, uint64_t first, uint64_t count);
  void Summarize();
  void CountValues();

  std::vector<Side> sides_;  // the tensor, and the other one if there is one
  uint64_t elements_ = 0;
  ErrorStats error_;
  std::vector<uint64_t> error_bins_;
  bool counting_ = false;  // the second trip
  bool complete_ = false;
  uint64_t next_ = 0;  // element of this trip
  uint64_t bytes_done_ = 0;
  uint64_t bytes_total_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_TENSOR_SURVEY_H_
