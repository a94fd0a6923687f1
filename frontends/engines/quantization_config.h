// Model directories that programs of engines quantized: what config.json says
// of their weights becomes the quantization record that they have none of.

#ifndef MONOQUANT_FRONTENDS_ENGINES_QUANTIZATION_CONFIG_H_
#define MONOQUANT_FRONTENDS_ENGINES_QUANTIZATION_CONFIG_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// `reader`, with the weights that quantization_config in the config.json among
// `files` is about in CheckpointIndex::quant; the notes say so. The tensors
// stay as they are. A checkpoint with a record of its own comes back as it is,
// and so does one without such tensors, without such a file, and with a
// quant_method other than compressed-tensors, gptq, awq, bitsandbytes and
// torchao.
//
// A weight's type before it was quantized is the one that the weight itself
// says, or the configuration's dtype or torch_dtype, where that is a float
// type. Reads the index and config.json, of weights that compressed-tensors
// packed their dimensions, and of those of bitsandbytes what describes them.
//
// DataLoss, naming tensor or entry, if a part of a weight is missing, left over
// or contradicts another, or the configuration; Unimplemented for variants that
// are not read. With `problems` these errors are added there (as
// OpenOptions::problems has it), and the weights that nothing is wrong with are
// recorded: of bitsandbytes and torchao all of them, of the other methods those
// before the first problem.
absl::StatusOr<std::unique_ptr<CheckpointReader>> ApplyQuantizationConfig(
    std::unique_ptr<CheckpointReader> reader, const CheckpointFiles& files,
    std::vector<absl::Status>* problems = nullptr);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_QUANTIZATION_CONFIG_H_
