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
  AddSums(sums, size, nonfinite);
}

void ErrorStats::AddLevels(absl::Span<const float> values,
                           absl::Span<const uint8_t> levels, LevelKind kind,
                           absl::Span<const QParams> params, size_t run) {
  const Kernels& kernels = ActiveKernels();
  ErrorSums sums;
  size_t nonfinite = 0;
  for (size_t i = 0; i < values.size(); i += kErrorBlock) {
    const size_t count = std::min(kErrorBlock, values.size() - i);
    const QParams* first = &params[i / run];
    size_t in_run = i % run;
    if ((run % kLanes == 0 || in_run + count <= run) &&
        kernels.add_level_errors(&values[i], kind, first, run, in_run,
                                 &levels[i], count, &sums)) {
      continue;
    }
    float decoded[kErrorBlock];
    for (size_t done = 0; done < count; ++first) {
      const size_t size = std::min(run - in_run, count - done);
      kernels.levels_to_values(kind, first, size, &levels[i + done], size,
                               decoded + done);
      done += size;
      in_run = 0;
    }
    if (!kernels.add_errors(&values[i], decoded, count, &sums)) {
      nonfinite += AddInDouble(&values[i], decoded, count, &sums);
    }
  }
  AddSums(sums, values.size(), nonfinite);
}

void ErrorStats::AddSums(const ErrorSums& sums, size_t count,
                         size_t nonfinite) {
  count_ += count - nonfinite;
  nonfinite_ += nonfinite;
  sum_aa_ += Sum(sums.aa);
  sum_bb_ += Sum(sums.bb);
  sum_ab_ += Sum(sums.ab);
  sum_ee_ += Sum(sums.ee);
  for (double error : sums.max_abs_error) {
    max_abs_error_ = std::max(max_abs_error_, error);
  }
}

void ErrorStats::Merge(const ErrorStats& other) {
  count_ += other.count_;
  nonfinite_ += other.nonfinite_;
  sum_aa_ += other.sum_aa_;
  sum_bb_ += other.sum_bb_;
  sum_ab_ += other.sum_ab_;
  sum_ee_ += other.sum_ee_;
  max_abs_error_ = std::max(max_abs_error_, other.max_abs_error_);
}

double ErrorStats::Mse() const {
  return count_ == 0 ? 0 : sum_ee_ / static_cast<double>(count_);
}

double ErrorStats::SqnrDb() const {
  if (sum_ee_ == 0) return std::numeric_limits<double>::infinity();
  if (sum_aa_ == 0) return -std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_aa_ / sum_ee_);
}

double ErrorStats::Cosine() const {
  if (sum_aa_ == 0 && sum_bb_ == 0) return 1;
  if (sum_aa_ == 0 || sum_bb_ == 0) return 0;
  // Two roots: the product of the sums could overflow.
  const double a = std::sqrt(sum_aa_);
  const double b = std::sqrt(sum_bb_);
  if (sum_ee_ > sum_aa_ / 4) return sum_ab_ / (a * b);
  // Small errors: the law of cosines, so that what is missing to 1 has as many
  // digits as the sums.
  const double difference = (sum_aa_ - sum_bb_) / (a + b);
  return 1 - (sum_ee_ - difference * difference) / (2 * a * b);
}

}  // namespace monoquant
