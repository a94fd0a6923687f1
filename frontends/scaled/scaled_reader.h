// Checkpoints of FP8 weights with scales, read as the floats that they stand
// for.

#ifndef MONOQUANT_FRONTENDS_SCALED_SCALED_READER_H_
#define MONOQUANT_FRONTENDS_SCALED_SCALED_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// `reader`, with every FP8 weight that has scales (scale_pairs.h) as one F32
// tensor: code * scale, rounded once. The scales are no longer listed, and the
// notes say so. A checkpoint without such pairs comes back as it is, and so
// does one that monoquant wrote, which says itself what its tensors are.
// Weights that are in the quantization record stay codes.
//
// The size of blocks is that in config.json among `files`, or follows from the
// shapes. DataLoss, naming the tensors, if half a pair is missing or the halves
// do not fit; Unimplemented for scales of unusual types.
absl::StatusOr<std::unique_ptr<CheckpointReader>> ApplyScales(
    std::unique_ptr<CheckpointReader> reader, const CheckpointFiles& files);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCALED_SCALED_READER_H_
