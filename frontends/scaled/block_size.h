// What a model's configuration says of its FP8 weights.

#ifndef MONOQUANT_FRONTENDS_SCALED_BLOCK_SIZE_H_
#define MONOQUANT_FRONTENDS_SCALED_BLOCK_SIZE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"

namespace monoquant {

// quantization_config.weight_block_size of the config.json among `files`, from
// the last dimensions of a weight: [128, 128]. Empty if there is no such file
// or no such entry. DataLoss if the entry is no list of positive numbers, or
// the file cannot be read.
absl::StatusOr<std::vector<int64_t>> ConfiguredBlockSize(
    const CheckpointFiles& files);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCALED_BLOCK_SIZE_H_
