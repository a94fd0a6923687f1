// --to fp8: a model directory of FP8 weights in blocks, as DeepSeek and Qwen
// publish theirs; Transformers, vLLM and SGLang load it.
//
// Weights are stored as QuantStorage::kFp8 says. All blocks have one size.
// Engines quantize activations at run time.

#ifndef MONOQUANT_EXPORTERS_FP8_H_
#define MONOQUANT_EXPORTERS_FP8_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

const Exporter& Fp8Exporter();

// "quantization_config" for what the manifest's record says was done.
Json Fp8Config(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_FP8_H_
