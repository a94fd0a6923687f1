// Model directories as compressed-tensors 0.20 has them, for vLLM, SGLang and
// Transformers: safetensors files whose quantized weights are stored as
// QuantStorage::kCompressedTensors says, and a config.json that tells how.

#ifndef MONOQUANT_EXPORTERS_COMPRESSED_TENSORS_H_
#define MONOQUANT_EXPORTERS_COMPRESSED_TENSORS_H_

#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"

namespace monoquant {

// Layout refuses, besides what safetensors cannot hold, quantized tensors that
// are stored in another way.
const Exporter& CompressedTensorsExporter();

// The value of "quantization_config" for what `manifest` holds, of all shards
// together. The layers of one scheme are a group; where there is one group it
// is that of every Linear but those under "ignore", the matrices that are not
// quantized and an output layer that the checkpoint does not list. INT8 and FP8
// of axis 0 or per tensor ask for activations of the same type, with a scale
// for each token that is found at run time; packed formats and MXFP8 for none.
Json CompressedTensorsConfig(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_COMPRESSED_TENSORS_H_
