#include "exporters/gptq.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "exporters/engine_directory.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

bool IsNumber(absl::string_view part) {
  return !part.empty() &&
         std::all_of(part.begin(), part.end(), absl::ascii_isdigit);
}

// What a module is called in its block, which is one of a row: "mlp.up_proj" of
// "model.layers.0.mlp.up_proj". Null outside of blocks; empty for a block.
std::optional<std::string> NameInBlock(absl::string_view module) {
  const std::vector<absl::string_view> parts = absl::StrSplit(module, '.');
  const auto number = std::find_if(parts.begin(), parts.end(), IsNumber);
  if (number == parts.end()) return std::nullopt;
  return absl::StrJoin(number + 1, parts.end(), ".");
}

// All modules that have a weight of float, and the output layer.
std::vector<std::string> FloatModules(const Manifest& manifest) {
  std::vector<std::string> modules = KeptModules(manifest);
  for (const OutputTensor& tensor : manifest.tensors) {
    if (absl::EndsWith(tensor.name, ".weight")) {
      modules.push_back(ModuleOf(tensor.name));
    }
  }
  return modules;
}

// The layers that are quantized, as Transformers finds them by the ends of
// their names, and vLLM by what is in these: by names in the blocks, which hold
// for all blocks and whatever the model is part of; or by whole names, where
// one in the blocks would be found in a float module.
std::vector<std::string> QuantizedLayers(const Manifest& manifest) {
  std::vector<std::string> whole_names;
  std::set<std::string> names;
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    whole_names.push_back(ModuleOf(tensor->name));
    const std::string in_block =
        NameInBlock(whole_names.back()).value_or(std::string());
    names.insert(in_block.empty() ? whole_names.back() : in_block);
  }
  for (const std::string& module : FloatModules(manifest)) {
    for (const std::string& name : names) {
      if (absl::StrContains(module, name)) return whole_names;
    }
  }
  return {names.begin(), names.end()};
}

// Says which layers are quantized: by regular expressions of those of the
// blocks that are left out, which GPTQModel and vLLM read, and by a list of
// those that are quantized, which Transformers does. It takes them from modules
// whose names begin with "block_name_to_quantize", which it guesses where
// nothing is said, and for few models.
void SetLayers(const Manifest& manifest, Json* config) {
  Json left_out{Json::Object()};
  for (const std::string& module : KeptModules(manifest)) {
    if (!NameInBlock(module).has_value()) continue;
    left_out.Set(absl::StrCat("-:", PatternOf(module), "$"),
                 Json(Json::Object()));
  }
  if (!left_out.AsObject()->empty()) {
    config->Set("dynamic", std::move(left_out));
  }
  config->Set("block_name_to_quantize", "");
  config->Set("modules_in_block_to_quantize",
              Json(Json::Array{Json(ToJsonArray(QuantizedLayers(manifest)))}));
}

absl::Status Check(const Manifest& manifest) {
  return CheckOneScheme(manifest, "gptq");
}

}  // namespace

const Exporter& GptqExporter() {
  static const Exporter* const exporter =
      new EngineDirectory(QuantStorage::kGptq, Check);
  return *exporter;
}

Json GptqConfig(const Manifest& manifest) {
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  const QuantScheme scheme =
      weights.empty() ? QuantScheme() : weights.front()->scheme;
  const bool grouped = scheme.granularity == Granularity::kGroup;
  const bool output_layer = std::any_of(
      weights.begin(), weights.end(), [](const QuantizedTensor* tensor) {
        return tensor->name == "lm_head.weight";
      });
  Json config;
  config.Set("quant_method", "gptq");
  config.Set("bits", BitsOfCode(scheme.format));
  config.Set("group_size", grouped ? scheme.group_size : int64_t{-1});
  config.Set("sym", scheme.symmetric);
  config.Set("desc_act", false);
  config.Set("lm_head", output_layer);
  config.Set("checkpoint_format", "gptq");
  config.Set("pack_dtype", "int32");
  Json meta;
  meta.Set("quantizer", Json(Json::Array{Json(absl::StrCat(
                            "monoquant:", manifest.record.version))}));
  config.Set("meta", std::move(meta));
  SetLayers(manifest, &config);
  return config;
}

}  // namespace monoquant
