// The config.json of a model directory, where an output needs another than its
// input's: programs read in it how the weights are stored.

#ifndef MONOQUANT_EXPORTERS_OUTPUT_CONFIG_H_
#define MONOQUANT_EXPORTERS_OUTPUT_CONFIG_H_

#include "absl/status/status.h"
#include "exporters/model_files.h"
#include "exporters/output_files.h"
#include "ir/json.h"

namespace monoquant {

// Replaces the config.json among the side files of `output` by one with this
// "quantization_config", which has nothing else where the input has none. Notes
// if a program does not load such a model in this format, however it is
// quantized.
//
// DataLoss if the input's cannot be read as a JSON object.
absl::Status AddQuantization(const ModelFiles& input, Json quantization,
                             OutputPlan* output);

// For weights that were decoded: leaves out what the configuration says of
// codes, in whatever file it is, since it is not true of them.
void DropQuantization(const ModelFiles& input, OutputPlan* output);

// Of that what other files say than config.json.
void DropQuantizationFiles(OutputPlan* output);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_OUTPUT_CONFIG_H_
