// --to bitsandbytes: a model directory of NF4, FP4 or LLM.int8 weights, as
// Transformers, vLLM, TGI and PEFT (for QLoRA) load it.
//
// Weights are stored as QuantStorage::kBitsandbytes says, with plain scales, or
// as kBitsandbytesNested does. All quantized layers have one scheme and one of
// the two.

#ifndef MONOQUANT_EXPORTERS_BITSANDBYTES_H_
#define MONOQUANT_EXPORTERS_BITSANDBYTES_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

const Exporter& BitsandbytesExporter();

// "quantization_config" for what the manifest's record says was done.
Json BitsandbytesConfig(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_BITSANDBYTES_H_
