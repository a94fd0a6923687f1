#include "exporters/compressed_tensors.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "exporters/safetensors.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kWeight = ".weight";

// "model.layers.0.fc" of "model.layers.0.fc.weight".
std::string ModuleOf(absl::string_view weight) {
  return std::string(weight.substr(0, weight.size() - kWeight.size()));
}

// Packed codes have a name of their own (StoreWeight).
bool IsPacked(const QuantizedTensor& tensor) { return !tensor.codes.empty(); }

bool IsFloat(const QuantScheme& scheme) {
  return scheme.format == NumberFormat::kFp8E4M3;
}

absl::string_view FormatOf(const QuantizedTensor& tensor) {
  if (IsFloat(tensor.scheme)) return "float-quantized";
  return IsPacked(tensor) ? "pack-quantized" : "int-quantized";
}

// The arguments that weights and activations have in common.
Json Arguments(const QuantScheme& scheme, absl::string_view strategy,
               bool dynamic) {
  Json json;
  json.Set("num_bits", scheme.format == NumberFormat::kInt4 ? 4 : 8);
  json.Set("type", IsFloat(scheme) ? "float" : "int");
  json.Set("symmetric", true);
  json.Set("strategy", strategy);
  json.Set("dynamic", dynamic);
  return json;
}

Json WeightArguments(const QuantScheme& scheme) {
  switch (scheme.granularity) {
    case Granularity::kTensor:
      return Arguments(scheme, "tensor", /*dynamic=*/false);
    case Granularity::kAxis:
      return Arguments(scheme, "channel", /*dynamic=*/false);
    case Granularity::kGroup:
      break;
  }
  Json json = Arguments(scheme, "group", /*dynamic=*/false);
  json.Set("group_size", scheme.group_size);
  return json;
}

// Layers whose weights are quantized alike, as a configuration can say it.
struct Group {
  Json weights;
  Json activations;
  absl::string_view format;
  Json::Array modules;
};

std::vector<Group> GroupsOf(const QuantRecord& record) {
  std::vector<Group> groups;
  for (const QuantizedTensor& tensor : record.tensors) {
    if (!HasScales(tensor.scheme.format)) continue;  // a cast
    Json weights = WeightArguments(tensor.scheme);
    auto group = std::find_if(
        groups.begin(), groups.end(),
        [&](const Group& other) { return other.weights == weights; });
    if (group == groups.end()) {
      const bool packed = IsPacked(tensor);
      groups.push_back({std::move(weights),
                        packed ? Json()
                               : Arguments(tensor.scheme, "token",
                                           /*dynamic=*/true),
                        FormatOf(tensor),
                        {}});
      group = groups.end() - 1;
    }
    group->modules.push_back(Json(ModuleOf(tensor.name)));
  }
  return groups;
}

// The modules of matrices that are not quantized. (Only those that are Linear
// matter; the names of others do no harm.)
Json::Array Ignored(const Manifest& manifest) {
  // A checkpoint does not list the output layer where it is the embedding.
  constexpr absl::string_view kOutputLayer = "lm_head";
  absl::flat_hash_set<absl::string_view> quantized;
  bool has_output_layer = false;
  for (const QuantizedTensor& tensor : manifest.record.tensors) {
    if (!HasScales(tensor.scheme.format)) continue;
    quantized.insert(tensor.name);
    has_output_layer |= tensor.name == absl::StrCat(kOutputLayer, kWeight);
  }
  Json::Array modules;
  for (const OutputTensor& tensor : manifest.tensors) {
    if (tensor.shape.size() != 2 || !absl::EndsWith(tensor.name, kWeight) ||
        quantized.contains(tensor.name)) {
      continue;
    }
    const std::string module = ModuleOf(tensor.name);
    has_output_layer |= module == kOutputLayer;
    modules.push_back(Json(module));
  }
  if (!has_output_layer) modules.push_back(Json(kOutputLayer));
  return modules;
}

class CompressedTensors : public Exporter {
 public:
  absl::string_view name() const override { return "compressed-tensors"; }

  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override {
    for (const QuantizedTensor& tensor : manifest.record.tensors) {
      if (tensor.storage == QuantStorage::kCompressedTensors) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          "tensor ", QuotedName(tensor.name), ": is quantized already, and ",
          "stored in another way than compressed-tensors does; dequantize it, "
          "or quantize the original with --to compressed-tensors"));
    }
    return SafetensorsExporter().Layout(manifest);
  }

  absl::Status WriteIndex(const Manifest& manifest, const FileLayout& layout,
                          absl::Span<const uint32_t> crc32,
                          ByteSink& sink) const override {
    return SafetensorsExporter().WriteIndex(manifest, layout, crc32, sink);
  }
};

}  // namespace

const Exporter& CompressedTensorsExporter() {
  static const Exporter* const exporter = new CompressedTensors;
  return *exporter;
}

Json CompressedTensorsConfig(const Manifest& manifest) {
  std::vector<Group> groups = GroupsOf(manifest.record);
  absl::string_view format = groups.empty() ? "dense" : groups.front().format;
  Json config_groups{Json::Object()};
  for (size_t i = 0; i < groups.size(); ++i) {
    Group& group = groups[i];
    if (group.format != format) format = "mixed-precision";
    Json json;
    json.Set("targets", groups.size() == 1 ? Json(Json::Array{Json("Linear")})
                                           : Json(std::move(group.modules)));
    json.Set("weights", std::move(group.weights));
    json.Set("input_activations", std::move(group.activations));
    json.Set("output_activations", Json());
    json.Set("format", group.format);
    config_groups.Set(absl::StrCat("group_", i), std::move(json));
  }
  Json config;
  config.Set("quant_method", "compressed-tensors");
  config.Set("format", format);
  // Without it Transformers takes the codes for weights.
  config.Set("quantization_status", "compressed");
  config.Set("config_groups", std::move(config_groups));
  config.Set("ignore", Json(Ignored(manifest)));
  return config;
}

}  // namespace monoquant
