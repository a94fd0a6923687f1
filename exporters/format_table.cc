#include "exporters/format_table.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "exporters/exporter.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// Sizes that every format is content with.
constexpr int64_t kGroup = 128;
const char* const kName = "m.weight";
const char* const kRecurrentName = "m.weight_ih_l0";
const char* const kOtherName = "m.kernel";

bool HasPlace(QuantStorage storage, NumberFormat format,
              Granularity granularity, bool symmetric, const Shape& shape,
              absl::string_view name = kName) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  if (HasGroupSize(granularity)) scheme.group_size = kGroup;
  scheme.symmetric = symmetric;
  scheme.scale_dtype = DefaultScaleDType(storage, DType::kBF16);
  return StoreWeight(storage, name, scheme, shape).ok();
}

// "`int8` axis, group, also asymmetric"; empty if the storage has no place for
// the format.
std::string Schemes(QuantStorage storage, NumberFormat format) {
  std::vector<absl::string_view> granularities;
  bool asymmetric = false;
  for (Granularity granularity : {Granularity::kTensor, Granularity::kAxis,
                                  Granularity::kGroup, Granularity::kBlock}) {
    const Shape shape = {kGroup, kGroup};
    if (!HasPlace(storage, format, granularity, /*symmetric=*/true, shape)) {
      continue;
    }
    granularities.push_back(GranularityName(granularity));
    asymmetric |= HasZeroPoints(format) &&
                  HasPlace(storage, format, granularity, false, shape);
  }
  if (granularities.empty()) return "";
  return absl::StrCat("`", NumberFormatName(format), "` ",
                      absl::StrJoin(granularities, ", "),
                      asymmetric ? ", also asymmetric" : "");
}

// Formats with the same schemes share an entry: "`int8`, `uint8` tensor, axis".
std::string AllSchemes(QuantStorage storage) {
  std::vector<std::string> entries;
  std::string last;  // without the name of the format
  for (int i = 0; i < kNumNumberFormats; ++i) {
    const auto format = static_cast<NumberFormat>(i);
    if (!HasScales(format)) continue;
    std::string entry = Schemes(storage, format);
    if (entry.empty()) continue;
    const size_t name = NumberFormatName(format).size() + 2;
    const std::string rest = entry.substr(name);
    if (rest == last) {
      std::string& before = entries.back();
      before.insert(before.size() - rest.size(),
                    absl::StrCat(", ", entry.substr(0, name)));
    } else {
      entries.push_back(std::move(entry));
    }
    last = rest;
  }
  std::vector<std::string> named;
  for (const NamedScheme& scheme : NamedSchemes()) {
    if (StoreWeight(storage, kName, scheme.scheme, {kGroup, kGroup}).ok()) {
      named.push_back(absl::StrCat("`", scheme.name, "`"));
    }
  }
  if (!named.empty()) entries.push_back(absl::StrJoin(named, ", "));
  entries.emplace_back("`fp16`, `bf16`");
  return absl::StrJoin(entries, "; ");
}

std::string Weights(QuantStorage storage) {
  const auto has_place = [storage](const Shape& shape, absl::string_view name) {
    return HasPlace(storage, NumberFormat::kInt8, Granularity::kAxis,
                    /*symmetric=*/true, shape, name);
  };
  if (has_place({kGroup, kGroup}, kOtherName)) return "any";
  // Storages of whole modules tell embeddings from others by their codes.
  const bool in_modules = has_place({kGroup, kGroup}, kRecurrentName);
  const bool embeddings =
      in_modules && HasPlace(storage, NumberFormat::kUInt8, Granularity::kAxis,
                             /*symmetric=*/true, {kGroup, kGroup});
  return absl::StrCat(
      "`*.weight` of Linear layers",
      has_place({kGroup, kGroup, 3, 3}, kName) ? ", convolutions" : "",
      embeddings ? ", embeddings (`uint8`)" : "",
      in_modules ? ", weights of LSTM, GRU and cells" : "");
}

std::string Files(const ExporterRow& row) {
  return absl::StrCat(
      row.quantization_config != nullptr ? "model directory of " : "",
      absl::StrJoin(row.extensions, " ",
                    [](std::string* out, absl::string_view extension) {
                      absl::StrAppend(out, "`.", extension, "`");
                    }));
}

}  // namespace

std::string FormatTable() {
  std::string table =
      "| `--to` | files | schemes | weights | loaded by |\n"
      "|---|---|---|---|---|\n";
  for (const ExporterRow& row : AllExporters()) {
    absl::StrAppend(&table, "| `", row.exporter->name(), "` | ", Files(row),
                    " | ", AllSchemes(row.storage), " | ", Weights(row.storage),
                    " | ", row.loaded_by, " |\n");
  }
  return table;
}

}  // namespace monoquant
