#include "exporters/bitsandbytes.h"

#include <vector>

#include "exporters/engine_directory.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

absl::Status Check(const Manifest& manifest) {
  return CheckOneScheme(manifest, "bitsandbytes");
}

}  // namespace

const Exporter& BitsandbytesExporter() {
  static const Exporter* const exporter = new EngineDirectory(
      QuantStorage::kBitsandbytes, QuantStorage::kBitsandbytesNested, Check);
  return *exporter;
}

Json BitsandbytesConfig(const Manifest& manifest) {
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  const NumberFormat format =
      weights.empty() ? NumberFormat::kNf4 : weights.front()->scheme.format;
  const DType dtype = weights.empty() ? DType::kBF16 : weights.front()->dtype;
  const bool bytes = BitsOfCode(format) == 8;
  const bool nested = !weights.empty() && weights.front()->storage ==
                                              QuantStorage::kBitsandbytesNested;
  Json config;
  config.Set("quant_method", "bitsandbytes");
  config.Set("load_in_4bit", !bytes);
  config.Set("load_in_8bit", bytes);
  if (bytes) {
    // The library's own: activations beyond it are multiplied as floats.
    config.Set("llm_int8_threshold", 6.0);
    config.Set("llm_int8_has_fp16_weight", false);
  } else {
    config.Set("bnb_4bit_quant_type", NumberFormatName(format));
    config.Set("bnb_4bit_use_double_quant", nested);
    config.Set("bnb_4bit_compute_dtype", GetDTypeInfo(dtype).torch_name);
    config.Set("bnb_4bit_quant_storage", "uint8");
  }
  // Whoever names one must name all layers that are left as they are,
  // lm_head too.
  config.Set("llm_int8_skip_modules", Json(ToJsonArray(KeptModules(manifest))));
  return config;
}

}  // namespace monoquant
