// --to awq: a model directory in the "gemm" format of AWQ, as vLLM, SGLang, TGI
// and Transformers (with GPTQModel) load it.
//
// Weights are stored as QuantStorage::kAwq says; nothing in the format asks for
// activation-aware scaling. All quantized layers have one scheme.

#ifndef MONOQUANT_EXPORTERS_AWQ_H_
#define MONOQUANT_EXPORTERS_AWQ_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

const Exporter& AwqExporter();

// "quantization_config" for what the manifest's record says was done.
Json AwqConfig(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_AWQ_H_
