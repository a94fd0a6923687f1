// --to torchao: a model directory that Transformers, vLLM and torchao itself
// load into torchao's tensor classes.
//
// Weights are stored as QuantStorage::kTorchao says. The text metadata of each
// file says which class each weight is of: Int8Tensor or Float8Tensor, weight
// only. All quantized layers have one scheme.
//
// torchao changes its classes between versions; these are those of 0.18.

#ifndef MONOQUANT_EXPORTERS_TORCHAO_H_
#define MONOQUANT_EXPORTERS_TORCHAO_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

const Exporter& TorchaoExporter();

// "quantization_config" for what the manifest's record says was done.
Json TorchaoConfig(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_TORCHAO_H_
