#include "cli/quality.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "cli/human.h"

namespace monoquant::cli {

void Quality::Add(absl::string_view name, double sqnr_db) {
  ++tensors_;
  if (std::isinf(sqnr_db) && sqnr_db > 0) {
    ++exact_;
    return;
  }
  sum_db_ += sqnr_db;
  if (sqnr_db < worst_db_) {
    worst_db_ = sqnr_db;
    worst_name_ = std::string(name);
  }
}

double Quality::mean_db() const {
  if (tensors_ == exact_) return std::numeric_limits<double>::infinity();
  return sum_db_ / static_cast<double>(tensors_ - exact_);
}

std::string Quality::ToString() const {
  if (tensors_ == exact_) return "exact";
  std::string text =
      absl::StrCat("SQNR ", HumanDb(mean_db()), " mean, ", HumanDb(worst_db()),
                   " worst (", Printable(worst_name_), ")");
  if (exact_ > 0) absl::StrAppend(&text, ", ", exact_, " exact");
  return text;
}

Json Quality::ToJson() const {
  Json json;
  json.Set("mean", mean_db());
  json.Set("min", worst_db());
  json.Set("worst_tensor", worst_name_.empty() ? Json() : Json(worst_name_));
  json.Set("exact_tensors", exact_);
  return json;
}

void AppendErrorJson(double sqnr_db, const ErrorStats& error, Json& json) {
  json.Set("sqnr_db", sqnr_db);
  json.Set("mse", error.Mse());
  json.Set("cosine", error.Cosine());
  json.Set("max_abs_error", error.MaxAbsError());
  json.Set("nonfinite", error.nonfinite());
}

}  // namespace monoquant::cli
