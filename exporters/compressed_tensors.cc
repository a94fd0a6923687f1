#include "exporters/compressed_tensors.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/siblings.h"
#include "exporters/engine_directory.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {
namespace {

// Packed codes have a name of their own (StoreWeight).
bool IsPacked(const QuantizedTensor& tensor) { return !tensor.codes.empty(); }

bool IsFloat(const QuantScheme& scheme) {
  return !HasZeroPoints(scheme.format);
}

// Of weights only: packed ones, and those of MXFP8.
bool IsWeightOnly(const QuantizedTensor& tensor) {
  return IsPacked(tensor) || !IsScaleDType(tensor.scheme.scale_dtype);
}

absl::string_view FormatOf(const QuantizedTensor& tensor) {
  if (HasGlobalScale(tensor.scheme)) return "nvfp4-pack-quantized";
  if (tensor.scheme.scale_dtype == DType::kF8E8M0) {
    return IsPacked(tensor) ? "mxfp4-pack-quantized" : "mxfp8-quantized";
  }
  if (IsFloat(tensor.scheme)) return "float-quantized";
  return IsPacked(tensor) ? "pack-quantized" : "int-quantized";
}

// The arguments that weights and activations have in common.
Json Arguments(const QuantScheme& scheme, absl::string_view strategy,
               bool dynamic) {
  Json json;
  json.Set("num_bits", BitsOfCode(scheme.format));
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
    case Granularity::kBlock: {
      Json json = Arguments(scheme, "block", /*dynamic=*/false);
      json.Set("block_structure", Json(Json::Array{Json(scheme.group_size),
                                                   Json(scheme.group_size)}));
      return json;
    }
  }
  // Groups within a tensor that has a scale of its own.
  Json json =
      Arguments(scheme, HasGlobalScale(scheme) ? "tensor_group" : "group",
                /*dynamic=*/false);
  json.Set("group_size", scheme.group_size);
  if (scheme.scale_dtype == DType::kF8E8M0) {
    json.Set("scale_dtype", "torch.uint8");
  } else if (scheme.scale_dtype == DType::kF8E4M3) {
    json.Set("scale_dtype", "torch.float8_e4m3fn");
  }
  return json;
}

// For activations that get their scales at run time: one for each token, or for
// each part of it that meets a row of blocks.
Json ActivationArguments(const QuantScheme& scheme) {
  const bool blocks = scheme.granularity == Granularity::kBlock;
  Json json = Arguments(scheme, blocks ? "group" : "token", /*dynamic=*/true);
  if (blocks) json.Set("group_size", scheme.group_size);
  return json;
}

// Layers whose weights are quantized alike, as a configuration can say it.
struct Group {
  Json weights;
  Json activations;
  absl::string_view format;
  std::vector<std::string> modules;
};

std::vector<Group> GroupsOf(const Manifest& manifest) {
  std::vector<Group> groups;
  for (const QuantizedTensor* weight : QuantizedWeights(manifest)) {
    const QuantizedTensor& tensor = *weight;
    Json weights = WeightArguments(tensor.scheme);
    auto group = std::find_if(
        groups.begin(), groups.end(),
        [&](const Group& other) { return other.weights == weights; });
    if (group == groups.end()) {
      groups.push_back(
          {std::move(weights),
           IsWeightOnly(tensor) ? Json() : ActivationArguments(tensor.scheme),
           FormatOf(tensor),
           {}});
      group = groups.end() - 1;
    }
    group->modules.push_back(ModuleOf(tensor.name));
  }
  return groups;
}

// The names of a group's layers. Transformers takes the group of all experts to
// be the one that has "experts" in a regular expression, so these have one: for
// all experts of a layer, or for each module where not all are in the group.
Json::Array Targets(const std::vector<Group>& groups, const Group& group) {
  absl::flat_hash_set<absl::string_view> of_others;
  for (const Group& other : groups) {
    if (&other == &group) continue;
    for (const std::string& module : other.modules) {
      of_others.insert(ExpertsOf(module));
    }
  }
  Json::Array targets;
  absl::flat_hash_set<absl::string_view> named;
  for (const std::string& module : group.modules) {
    const absl::string_view experts = ExpertsOf(module);
    if (experts.empty()) {
      targets.push_back(Json(module));
    } else if (of_others.contains(experts)) {
      targets.push_back(Json(absl::StrCat("re:", PatternOf(module), "$")));
    } else if (named.insert(experts).second) {
      targets.push_back(Json(absl::StrCat("re:", PatternOf(experts), "\\.")));
    }
  }
  return targets;
}

}  // namespace

const Exporter& CompressedTensorsExporter() {
  static const Exporter* const exporter =
      new EngineDirectory(QuantStorage::kCompressedTensors);
  return *exporter;
}

Json CompressedTensorsConfig(const Manifest& manifest) {
  std::vector<Group> groups = GroupsOf(manifest);
  absl::string_view format = groups.empty() ? "dense" : groups.front().format;
  Json config_groups{Json::Object()};
  for (size_t i = 0; i < groups.size(); ++i) {
    Group& group = groups[i];
    if (group.format != format) format = "mixed-precision";
    Json json;
    json.Set("targets", groups.size() == 1 ? Json(Json::Array{Json("Linear")})
                                           : Json(Targets(groups, group)));
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
  config.Set("ignore", Json(ToJsonArray(KeptModules(manifest))));
  return config;
}

}  // namespace monoquant
