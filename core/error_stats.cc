#include "core/error_stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace monoquant {
namespace {

double Sum(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// Kernels::add_errors in double, for any values. Returns how many pairs hold a
// NaN or an infinity; they are left out.
size_t AddInDouble(const float* a, const float* b, size_t count,
                   ErrorSums* sums) {
  size_t nonfinite = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
      ++nonfinite;
      continue;
    }
    const size_t lane = i % kLanes;
    const double original = static_cast<double>(a[i]);
    const double approximation = static_cast<double>(b[i]);
    const double error = original - approximation;
    sums->aa[lane] += original * original;
    sums->ab[lane] += original * approximation;
    sums->bb[lane] += approximation * approximation;
    sums->ee[lane] += error * error;
    sums->max_abs_error[lane] =
        std::max(sums->max_abs_error[lane], std::fabs(error));
  }
  return nonfinite;
}

}  // namespace

void ErrorStats::Add(absl::Span<const float> a, absl::Span<const float> b) {
  const Kernels& kernels = ActiveKernels();
  const size_t size = std::min(a.size(), b.size());
  ErrorSums sums;
  size_t nonfinite = 0;
  for (size_t i = 0; i < size; i += kErrorBlock) {
    const size_t count = std::min(kErrorBlock, size - i);
    if (!kernels.add_errors(&a[i], &b[i], count, &sums)) {
      nonfinite += AddInDouble(&a[i], &b[i], count, &sums);
    }
  }
  AddSums(sums, size - nonfinite);
  totals_.nonfinite += nonfinite;
}

void ErrorStats::AddSums(const ErrorSums& sums, size_t count) {
  totals_.count += count;
  totals_.aa += Sum(sums.aa);
  totals_.ab += Sum(sums.ab);
  totals_.bb += Sum(sums.bb);
  totals_.ee += Sum(sums.ee);
  for (double error : sums.max_abs_error) {
    totals_.max_abs_error = std::max(totals_.max_abs_error, error);
  }
}

void ErrorStats::Merge(const ErrorStats& other) {
  totals_.count += other.totals_.count;
  totals_.nonfinite += other.totals_.nonfinite;
  totals_.aa += other.totals_.aa;
  totals_.ab += other.totals_.ab;
  totals_.bb += other.totals_.bb;
  totals_.ee += other.totals_.ee;
  totals_.max_abs_error =
      std::max(totals_.max_abs_error, other.totals_.max_abs_error);
}

double ErrorStats::Mse() const {
  return totals_.count == 0 ? 0
                            : totals_.ee / static_cast<double>(totals_.count);
}

double ErrorStats::SqnrDb() const {
  if (totals_.ee == 0) return std::numeric_limits<double>::infinity();
  if (totals_.aa == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(totals_.aa / totals_.ee);
}

double ErrorStats::Cosine() const {
  if (totals_.aa == 0 && totals_.bb == 0) return 1;
  if (totals_.aa == 0 || totals_.bb == 0) return 0;
  // Two roots: the product of the sums could overflow.
  const double a = std::sqrt(totals_.aa);
  const double b = std::sqrt(totals_.bb);
  if (totals_.ee > totals_.aa / 4) return totals_.ab / (a * b);
  // Small errors: the law of cosines, so that what is missing to 1 has as many
  // digits as the sums.
  const double difference = (totals_.aa - totals_.bb) / (a + b);
  return 1 - (totals_.ee - difference * difference) / (2 * a * b);
}

}  // namespace monoquant
