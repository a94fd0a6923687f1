#include "exporters/awq.h"

#include <vector>

#include "exporters/engine_directory.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

absl::Status Check(const Manifest& manifest) {
  return CheckOneScheme(manifest, "awq");
}

}  // namespace

const Exporter& AwqExporter() {
  static const Exporter* const exporter =
      new EngineDirectory(QuantStorage::kAwq, Check);
  return *exporter;
}

Json AwqConfig(const Manifest& manifest) {
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  const bool grouped =
      !weights.empty() &&
      weights.front()->scheme.granularity == Granularity::kGroup;
  Json config;
  config.Set("quant_method", "awq");
  config.Set("bits", 4);
  config.Set("group_size",
             grouped ? weights.front()->scheme.group_size : int64_t{-1});
  // Zero points are stored whether or not they are all the same.
  config.Set("zero_point", true);
  config.Set("version", "gemm");
  config.Set("modules_to_not_convert",
             Json(ToJsonArray(KeptModules(manifest))));
  return config;
}

}  // namespace monoquant
