#include "exporters/gptq.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "exporters/engine_directory.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

// Whether a module is one of a row of blocks: "model.layers.0.fc".
bool IsInBlock(absl::string_view module) {
  for (absl::string_view part : absl::StrSplit(module, '.')) {
    if (!part.empty() &&
        std::all_of(part.begin(), part.end(), absl::ascii_isdigit)) {
      return true;
    }
  }
  return false;
}

// Says which layers of the blocks are not quantized, where there are such: as
// regular expressions of those that are left out, which GPTQModel and vLLM
// read, and as a list of those that are not, which Transformers does.
void SetLayers(const Manifest& manifest, Json* config) {
  Json left_out{Json::Object()};
  for (const std::string& module : KeptModules(manifest)) {
    if (!IsInBlock(module)) continue;
    left_out.Set(
        absl::StrCat("-:^", absl::StrReplaceAll(module, {{".", "\\."}}), "$"),
        Json(Json::Object()));
  }
  if (left_out.AsObject()->empty()) return;
  config->Set("dynamic", std::move(left_out));
  std::vector<std::string> modules;
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    modules.push_back(ModuleOf(tensor->name));
  }
  config->Set("modules_in_block_to_quantize",
              Json(Json::Array{Json(ToJsonArray(modules))}));
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
