#include "cli/compare_report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "cli/human.h"
#include "cli/run_report.h"
#include "cli/table.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant::cli {
namespace {

size_t ListedTensors(const Comparison& comparison, int64_t top) {
  const size_t all = comparison.result.floats.size();
  return top == 0 ? all : std::min(all, static_cast<size_t>(top));
}

std::string WorstTable(const Comparison& comparison, size_t listed) {
  const auto left = Table::Align::kLeft;
  const auto right = Table::Align::kRight;
  Table table(
      {"tensor", "dtype", "shape", "SQNR", "MSE", "cosine", "largest error"},
      {left, left, left, right, right, right, right});
  for (size_t i = 0; i < listed; ++i) {
    const FloatComparison& row = comparison.result.floats[i];
    const TensorInfo& info = comparison.original(row.pair);
    table.Add({info.name, std::string(DTypeName(info.dtype)),
               ShapeToString(info.shape), HumanDb(row.SqnrDb()),
               absl::StrFormat("%.3g", row.error.Mse()),
               absl::StrFormat("%.6f", row.error.Cosine()),
               absl::StrFormat("%.3g", row.error.MaxAbsError())});
  }
  return table.ToString();
}

void AppendNames(absl::string_view label, const std::vector<std::string>& names,
                 std::string& text) {
  for (const std::string& name : names) {
    absl::StrAppend(&text, label, Printable(name), "\n");
  }
}

// The original's names of `pairs`.
std::vector<std::string> Names(const Comparison& comparison,
                               const std::vector<TensorPair>& pairs) {
  std::vector<std::string> names;
  for (const TensorPair& pair : pairs) {
    names.push_back(comparison.original(pair).name);
  }
  return names;
}

Json NamesToJson(const std::vector<std::string>& names) {
  return Json::Array(names.begin(), names.end());
}

Json FileToJson(const Input& file) {
  Json json;
  json.Set("path", file.path);
  json.Set("container", file.reader->index().container);
  json.Set("bytes", file.file_bytes);
  return json;
}

Json TensorToJson(const Comparison& comparison, const FloatComparison& row) {
  const TensorInfo& info = comparison.original(row.pair);
  Json json;
  json.Set("name", info.name);
  json.Set("dtype", DTypeName(info.dtype));
  json.Set("other_dtype", DTypeName(comparison.other(row.pair).dtype));
  json.Set("shape", Json::Array(info.shape.begin(), info.shape.end()));
  json.Set("identical", row.Identical());
  AppendErrorJson(row.SqnrDb(), row.error, json);
  json.Set("became_nonfinite", row.became_nonfinite);
  return json;
}

Json SummaryToJson(const Comparison& comparison) {
  const CheckpointComparison& result = comparison.result;
  const auto identical =
      std::count_if(result.floats.begin(), result.floats.end(),
                    [](const FloatComparison& row) { return row.Identical(); });
  Json json;
  json.Set("compared", result.floats.size() + result.num_others);
  json.Set("identical", static_cast<size_t>(identical) + result.num_others -
                            result.different.size());
  json.Set("sqnr_db", comparison.quality.ToJson());
  return json;
}

}  // namespace

std::string DescribeTensor(const TensorInfo& info) {
  return absl::StrCat(DTypeName(info.dtype), " ", ShapeToString(info.shape));
}

std::string ComparisonToText(const Comparison& comparison, int64_t top) {
  const CheckpointComparison& result = comparison.result;
  std::string text;
  for (const Input& file : comparison.files) {
    absl::StrAppend(&text, Printable(file.path), "  ",
                    IndexToLine(file.reader->index(), file.file_bytes), "\n");
  }
  const size_t listed = ListedTensors(comparison, top);
  absl::StrAppend(&text, "\n", WorstTable(comparison, listed));
  if (listed < result.floats.size()) {
    absl::StrAppend(&text, "and ", result.floats.size() - listed,
                    " with less error; --top 0 lists all\n");
  }
  absl::StrAppend(&text, "\nquality   ", comparison.quality.ToString(), "\n");

  uint64_t nonfinite = 0;
  for (const FloatComparison& row : result.floats) {
    nonfinite += row.error.nonfinite();
  }
  if (nonfinite > 0) {
    absl::StrAppend(&text, "nonfinite ", Plural(nonfinite, "value"),
                    " left out: a NaN or an infinity on either side\n");
  }
  AppendNames("different ", Names(comparison, result.different), text);
  AppendNames("missing   ", result.missing, text);
  AppendNames("extra     ", result.extra, text);
  for (const TensorPair& pair : result.mismatched) {
    const TensorInfo& info = comparison.original(pair);
    absl::StrAppend(&text, "mismatch  ", Printable(info.name), ": ",
                    DescribeTensor(info), " and ",
                    DescribeTensor(comparison.other(pair)), "\n");
  }
  return text;
}

Json ComparisonToJson(const Comparison& comparison, int64_t top,
                      const CompareGate* gate) {
  const CheckpointComparison& result = comparison.result;
  Json tensors((Json::Array()));
  const size_t listed = ListedTensors(comparison, top);
  for (size_t i = 0; i < listed; ++i) {
    tensors.Append(TensorToJson(comparison, result.floats[i]));
  }
  Json mismatched((Json::Array()));
  for (const TensorPair& pair : result.mismatched) {
    Json json;
    json.Set("name", comparison.original(pair).name);
    json.Set("original", DescribeTensor(comparison.original(pair)));
    json.Set("other", DescribeTensor(comparison.other(pair)));
    mismatched.Append(std::move(json));
  }
  Json gate_json;
  if (gate != nullptr) {
    gate_json.Set("fail_under", gate->fail_under);
    gate_json.Set("passed", gate->passed);
  }

  Json json;
  json.Set("schema", "monoquant/compare/1");
  json.Set("original", FileToJson(comparison.files[0]));
  json.Set("other", FileToJson(comparison.files[1]));
  json.Set("summary", SummaryToJson(comparison));
  json.Set("tensors", std::move(tensors));
  json.Set("different", NamesToJson(Names(comparison, result.different)));
  json.Set("missing", NamesToJson(result.missing));
  json.Set("extra", NamesToJson(result.extra));
  json.Set("mismatched", std::move(mismatched));
  json.Set("gate", std::move(gate_json));
  return json;
}

}  // namespace monoquant::cli
