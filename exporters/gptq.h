// --to gptq: a model directory in the format of GPTQ, version 1, as GPTQModel,
// Transformers, vLLM, SGLang, TGI and ExLlama load it.
//
// Weights are stored as QuantStorage::kGptq says; nothing in the format asks
// for the algorithm of that name. All quantized layers have one scheme.

#ifndef MONOQUANT_EXPORTERS_GPTQ_H_
#define MONOQUANT_EXPORTERS_GPTQ_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

const Exporter& GptqExporter();

// "quantization_config" for what the manifest's record says was done.
Json GptqConfig(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_GPTQ_H_
