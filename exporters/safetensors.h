// One safetensors file: codes, scales and zero points under their names.
//
//   0        u64 N          length of the header
//   8        N bytes        JSON, padded with spaces: 8 + N is a multiple of 64
//   8 + N    data           back to back, no gaps
//
// The widest dtype comes first and within a width the manifest's order holds,
// so every tensor is aligned to its element and a memory map of the file can be
// used as it is.
//
// Tied tensors are stored once, under the first name. The header's __metadata__
// holds, besides "format": "pt" and the text that is carried over,
//
//   "monoquant"       the quantization record as JSON, if there is one
//   "monoquant.ties"  {"other name": "first name", ...} as JSON, if any
//   "other name"      "first name", as safetensors.torch.save_model does

#ifndef MONOQUANT_EXPORTERS_SAFETENSORS_H_
#define MONOQUANT_EXPORTERS_SAFETENSORS_H_

#include "exporters/exporter.h"

namespace monoquant {

// Layout refuses, with FailedPrecondition, dtypes that safetensors does not
// have, a tensor called "__metadata__", and a header above the 100 MB that
// readers accept. torch's quantized types are written as plain integers
// (plain_codes.h).
const Exporter& SafetensorsExporter();

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_SAFETENSORS_H_
