#include "core/tensor_survey.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A multiple of eight, so that pieces of any type begin at a byte.
constexpr uint64_t kPieceElements = uint64_t{128} << 10;

const TensorInfo& InfoOf(const SurveyedTensor& where) {
  return where.reader->index().tensors[where.tensor];
}

absl::Status CheckFloat(const SurveyedTensor& where) {
  const TensorInfo& info = InfoOf(where);
  if (IsQuantizable(info.dtype)) return absl::OkStatus();
  return InvalidArgumentError(
      where.reader->index().path, ": tensor ", QuotedName(info.name), " is ",
      DTypeName(info.dtype), "; only floats have a distribution to look at");
}

void Add(absl::Span<const float> values, ValueSummary& summary) {
  for (const float value : values) {
    if (!std::isfinite(value)) {
      ++summary.nonfinite;
      continue;
    }
    const double x = value;
    if (summary.count++ == 0) summary.min = summary.max = x;
    summary.min = std::min(summary.min, x);
    summary.max = std::max(summary.max, x);
    summary.sum += x;
    summary.sum_of_squares += x * x;
    if (value == 0) ++summary.zeros;
  }
}

// Equal bins over [min, max]; what is beyond falls into the one at that end.
class Histogram {
 public:
  Histogram(double min, double max, std::vector<uint64_t>& bins)
      : min_(min),
        per_unit_(max > min ? static_cast<double>(bins.size()) / (max - min)
                            : 0),
        bins_(bins) {}

  void Add(double value) {
    const double last = static_cast<double>(bins_.size() - 1);
    const double bin = std::clamp((value - min_) * per_unit_, 0.0, last);
    ++bins_[static_cast<size_t>(bin)];
  }

 private:
  const double min_;
  const double per_unit_;
  std::vector<uint64_t>& bins_;
};

Json BinsToJson(const std::vector<uint64_t>& bins) {
  Json json((Json::Array()));
  for (const uint64_t count : bins) json.Append(count);
  return json;
}

void SetSummary(const ValueSummary& summary, const std::vector<uint64_t>& bins,
                Json& json) {
  json.Set("count", summary.count);
  json.Set("nonfinite", summary.nonfinite);
  json.Set("zeros", summary.zeros);
  json.Set("min", summary.min);
  json.Set("max", summary.max);
  json.Set("mean", summary.Mean());
  json.Set("std", summary.StandardDeviation());
  json.Set("bins", BinsToJson(bins));
}

}  // namespace

double ValueSummary::Mean() const {
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

double ValueSummary::StandardDeviation() const {
  if (count == 0) return 0;
  const double mean = Mean();
  const double variance =
      sum_of_squares / static_cast<double>(count) - mean * mean;
  return std::sqrt(std::max(variance, 0.0));
}

absl::StatusOr<std::unique_ptr<TensorSurvey>> TensorSurvey::Create(
    SurveyedTensor tensor, std::optional<SurveyedTensor> other, size_t bins) {
  if (bins < kMinBins || bins > kMaxBins) {
    return InvalidArgumentError("a histogram of ", bins,
                                " bins is not possible; use ", kMinBins, " to ",
                                kMaxBins);
  }
  MQ_RETURN_IF_ERROR(CheckFloat(tensor));
  std::unique_ptr<TensorSurvey> survey(new TensorSurvey);
  const Shape& shape = InfoOf(tensor).shape;
  if (other.has_value()) {
    MQ_RETURN_IF_ERROR(CheckFloat(*other));
    const TensorInfo& info = InfoOf(*other);
    if (info.shape != shape) {
      return InvalidArgumentError(absl::StrCat(
          other->reader->index().path, ": tensor ", QuotedName(info.name),
          " has the shape ", ShapeToString(info.shape), ", and ",
          QuotedName(InfoOf(tensor).name), " of ", tensor.reader->index().path,
          " has ", ShapeToString(shape), "; only equal shapes compare"));
    }
  }
  MQ_ASSIGN_OR_RETURN(survey->elements_, NumElements(shape));
  survey->sides_.push_back({std::move(tensor), {}, {}, {}, {}});
  if (other.has_value()) {
    survey->sides_.push_back({*std::move(other), {}, {}, {}, {}});
    survey->error_bins_.resize(bins);
  }
  for (Side& side : survey->sides_) {
    side.bins.resize(bins);
    survey->bytes_total_ += 2 * InfoOf(side.where).byte_size;
  }
  return survey;
}

absl::Status TensorSurvey::ReadPiece(Side& side, uint64_t first,
                                     uint64_t count) {
  const DType dtype = InfoOf(side.where).dtype;
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(dtype).bits);
  side.bytes.resize(static_cast<size_t>(count * bits / 8));
  side.values.resize(static_cast<size_t>(count));
  MQ_RETURN_IF_ERROR(side.where.reader->Read(side.where.tensor, first, count,
                                             absl::MakeSpan(side.bytes)));
  ToFloat(dtype, side.bytes.data(), absl::MakeSpan(side.values));
  bytes_done_ += side.bytes.size();
  return absl::OkStatus();
}

// What the first trip finds in a piece.
void TensorSurvey::Summarize() {
  for (Side& side : sides_) Add(side.values, side.summary);
  if (sides_.size() == 2) error_.Add(sides_[0].values, sides_[1].values);
}

// What the second trip finds in a piece.
void TensorSurvey::CountValues() {
  const ValueSummary& range = sides_[0].summary;
  for (Side& side : sides_) {
    Histogram histogram(range.min, range.max, side.bins);
    for (const float value : side.values) {
      if (std::isfinite(value)) histogram.Add(value);
    }
  }
  if (sides_.size() < 2) return;
  Histogram histogram(-error_.MaxAbsError(), error_.MaxAbsError(), error_bins_);
  for (size_t i = 0; i < sides_[0].values.size(); ++i) {
    const double error = static_cast<double>(sides_[1].values[i]) -
                         static_cast<double>(sides_[0].values[i]);
    if (std::isfinite(error)) histogram.Add(error);
  }
}

absl::StatusOr<bool> TensorSurvey::Step() {
  if (next_ == elements_) {
    if (counting_ || elements_ == 0) {
      complete_ = true;
      return false;
    }
    counting_ = true;
    next_ = 0;
  }
  const uint64_t count = std::min(kPieceElements, elements_ - next_);
  for (Side& side : sides_) {
    MQ_RETURN_IF_ERROR(ReadPiece(side, next_, count));
  }
  if (counting_) {
    CountValues();
  } else {
    Summarize();
  }
  next_ += count;
  return true;
}

absl::StatusOr<Json> TensorSurvey::Describe() const {
  if (!complete_) {
    return FailedPreconditionError(
        "the figures of a tensor are known after the last step only");
  }
  const Side& first = sides_[0];
  const TensorInfo& info = InfoOf(first.where);
  Json shape((Json::Array()));
  for (const uint64_t size : info.shape) shape.Append(size);
  Json json;
  json.Set("tensor", info.name);
  json.Set("dtype", DTypeName(info.dtype));
  json.Set("shape", std::move(shape));
  SetSummary(first.summary, first.bins, json);
  if (sides_.size() < 2) return json;
  Json other;
  SetSummary(sides_[1].summary, sides_[1].bins, other);
  json.Set("against", std::move(other));
  Json error;
  error.Set("min", -error_.MaxAbsError());
  error.Set("max", error_.MaxAbsError());
  error.Set("bins", BinsToJson(error_bins_));
  error.Set("sqnr_db", error_.SqnrDb());
  error.Set("mse", error_.Mse());
  error.Set("cosine", error_.Cosine());
  error.Set("max_abs_error", error_.MaxAbsError());
  json.Set("error", std::move(error));
  return json;
}

}  // namespace monoquant
