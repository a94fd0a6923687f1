// The errors of many tensors, summed up for the user.

#ifndef MONOQUANT_CLI_QUALITY_H_
#define MONOQUANT_CLI_QUALITY_H_

#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "core/error_stats.h"
#include "ir/json.h"

namespace monoquant::cli {

// Mean and worst SQNR over tensors.
class Quality {
 public:
  void Add(absl::string_view name, double sqnr_db);

  // Tensors added, and those of them that came back exactly: their SQNR is
  // infinite, so they are left out of the mean.
  uint64_t tensors() const { return tensors_; }
  uint64_t exact() const { return exact_; }

  // In dB; +infinity if all tensors are exact, or there are none.
  double mean_db() const;
  double worst_db() const { return worst_db_; }
  // The tensor with the lowest SQNR; empty if all are exact.
  const std::string& worst_name() const { return worst_name_; }

  // "SQNR 40.6 dB mean, 31.2 dB worst (layers.0.weight)", "exact".
  std::string ToString() const;

  // {"mean", "min", "worst_tensor", "exact_tensors"}; null for infinite values
  // and where there is no worst one.
  Json ToJson() const;

 private:
  uint64_t tensors_ = 0;
  uint64_t exact_ = 0;
  double sum_db_ = 0;
  double worst_db_ = std::numeric_limits<double>::infinity();
  std::string worst_name_;
};

// Appends the members "sqnr_db", "mse", "cosine", "max_abs_error" and
// "nonfinite" to `json`. The first is passed for itself, since it may count
// values that `error` leaves out.
void AppendErrorJson(double sqnr_db, const ErrorStats& error, Json& json);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_QUALITY_H_
