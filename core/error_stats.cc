#include "core/error_stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "core/nonfinite.h"

namespace monoquant {
namespace {

// Partial sums in as many lanes, added up in a fixed order: the same result
// whatever vectors a compiler uses.
constexpr size_t kLanes = 16;

struct Lanes {
  double aa[kLanes] = {};
  double bb[kLanes] = {};
  double ab[kLanes] = {};
  double ee[kLanes] = {};
  double max_abs_error[kLanes] = {};

  void Add(size_t lane, float a_float, float b_float) {
    const double a = static_cast<double>(a_float);
    const double b = static_cast<double>(b_float);
    const double error = std::fabs(a - b);
    aa[lane] += a * a;
    bb[lane] += b * b;
    ab[lane] += a * b;
    ee[lane] += error * error;
    max_abs_error[lane] =
        error > max_abs_error[lane] ? error : max_abs_error[lane];
  }
};

double Sum(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

void ErrorStats::Add(absl::Span<const float> a, absl::Span<const float> b) {
  const size_t size = std::min(a.size(), b.size());
  Lanes lanes;
  size_t nonfinite = 0;
  if (CountNonfinite(a) == 0 && CountNonfinite(b) == 0) {
    size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes.Add(lane, a[i + lane], b[i + lane]);
      }
    }
    for (; i < size; ++i) lanes.Add(i % kLanes, a[i], b[i]);
  } else {
    for (size_t i = 0; i < size; ++i) {
      if (std::isfinite(a[i]) && std::isfinite(b[i])) {
        lanes.Add(i % kLanes, a[i], b[i]);
      } else {
        ++nonfinite;
      }
    }
  }
  count_ += size - nonfinite;
  nonfinite_ += nonfinite;
  sum_aa_ += Sum(lanes.aa);
  sum_bb_ += Sum(lanes.bb);
  sum_ab_ += Sum(lanes.ab);
  sum_ee_ += Sum(lanes.ee);
  for (double error : lanes.max_abs_error) {
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
  return sum_ab_ / (std::sqrt(sum_aa_) * std::sqrt(sum_bb_));
}

}  // namespace monoquant
