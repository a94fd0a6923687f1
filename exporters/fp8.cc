#include "exporters/fp8.h"

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/siblings.h"
#include "exporters/engine_directory.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

// With the modules of experts of which none is quantized.
std::vector<std::string> ModulesToNotConvert(const Manifest& manifest) {
  std::vector<std::string> modules = KeptModules(manifest);
  std::set<std::string> experts;
  for (const std::string& module : modules) {
    if (!ExpertsOf(module).empty()) experts.emplace(ExpertsOf(module));
  }
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    experts.erase(std::string(ExpertsOf(ModuleOf(tensor->name))));
  }
  modules.insert(modules.end(), experts.begin(), experts.end());
  return modules;
}

absl::Status Check(const Manifest& manifest) {
  return CheckOneScheme(manifest, "fp8");
}

}  // namespace

const Exporter& Fp8Exporter() {
  static const Exporter* const exporter =
      new EngineDirectory(QuantStorage::kFp8, Check);
  return *exporter;
}

Json Fp8Config(const Manifest& manifest) {
  constexpr int64_t kUsual = 128;
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  const int64_t size =
      weights.empty() ? kUsual : weights.front()->scheme.group_size;
  Json config;
  config.Set("quant_method", "fp8");
  config.Set("fmt", "e4m3");
  config.Set("activation_scheme", "dynamic");
  config.Set("weight_block_size", Json(Json::Array{Json(size), Json(size)}));
  config.Set("modules_to_not_convert",
             Json(ToJsonArray(ModulesToNotConvert(manifest))));
  return config;
}

}  // namespace monoquant
