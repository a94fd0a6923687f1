// How far a tensor is from its original.

#ifndef MONOQUANT_CORE_ERROR_STATS_H_
#define MONOQUANT_CORE_ERROR_STATS_H_

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "core/kernels/kernels.h"

namespace monoquant {

// The sums over pairs of values a and b that all figures are made of.
struct ErrorTotals {
  uint64_t count = 0;
  uint64_t nonfinite = 0;
  double aa = 0;  // a * a
  double bb = 0;
  double ab = 0;
  double ee = 0;  // (a - b) * (a - b)
  double max_abs_error = 0;
};

// Sums over pairs of values (a: original, b: approximation). Mergeable, so a
// tensor can be measured in pieces. Sums run in float for 256 pairs and in
// double from there on, always in the same lanes: the same on every machine,
// and right to six digits.
class ErrorStats {
 public:
  ErrorStats() = default;
  explicit ErrorStats(const ErrorTotals& totals) : totals_(totals) {}

  // Adds pairs; both spans have the same size. A pair with a NaN or infinity on
  // either side counts in `nonfinite` only.
  void Add(absl::Span<const float> a, absl::Span<const float> b);
  // Adds what a kernel has summed up over `count` pairs, all of them finite.
  void AddSums(const ErrorSums& sums, size_t count);
  void Merge(const ErrorStats& other);

  const ErrorTotals& totals() const { return totals_; }
  uint64_t count() const { return totals_.count; }
  uint64_t nonfinite() const { return totals_.nonfinite; }

  // Mean squared error; 0 for no pairs.
  double Mse() const;
  // Signal to quantization noise, 10 log10(sum a^2 / sum (a-b)^2), in dB.
  // +infinity for equal values (an all-zero signal included), -infinity where
  // the signal is zero and the error is not.
  double SqnrDb() const;
  // a.b / (|a| |b|); 1 if both are zero, 0 if one is.
  double Cosine() const;
  // Largest |a - b|.
  double MaxAbsError() const { return totals_.max_abs_error; }

 private:
  ErrorTotals totals_;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_ERROR_STATS_H_
