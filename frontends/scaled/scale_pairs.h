// Weights of 8-bit floats and the scales that belong to them.
//
// Programs that train or save in FP8 store a weight as two tensors, one of
// codes and one of scales, that only mean something together.

#ifndef MONOQUANT_FRONTENDS_SCALED_SCALE_PAIRS_H_
#define MONOQUANT_FRONTENDS_SCALED_SCALE_PAIRS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "frontends/tensors/block_grid.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

// Tensors of CheckpointIndex::tensors, by their number.
struct ScalePair {
  size_t weight;
  size_t scale;
};

// True for the FP8 types that hold weights.
bool IsFloat8Weight(DType dtype);

// True if there is a tensor that FindScalePairs has something to say about.
bool MayHaveScalePairs(const CheckpointIndex& index);

// The pairs, by number of the weight. The scale of a weight W is W_scale_inv
// (DeepSeek, Transformers) or W_scale (compressed-tensors, ModelOpt).
//
// Half a pair is an error, DataLoss naming both halves: W_scale_inv without its
// FP8 weight; and if there are pairs, an FP8 tensor whose name ends in
// ".weight" without a scale, and W.weight_scale without W.weight. Other scales
// (k_scale, input_scale) are tensors like any other; so are FP8 tensors where
// nothing has a scale.
absl::StatusOr<std::vector<ScalePair>> FindScalePairs(
    const CheckpointIndex& index);

// How `scale` divides a weight: a scalar or a single number is one for the
// whole tensor; as many as the first dimension, one for each of its indices;
// with as many dimensions as the weight, blocks. `block`, if not empty, is the
// size of the blocks in the last dimensions; where it is not known, the one
// power of two that gives so many blocks. DataLoss, without names, if the
// scales fit no blocks.
absl::StatusOr<BlockGrid> FitBlocks(absl::Span<const int64_t> weight,
                                    absl::Span<const int64_t> scale,
                                    absl::Span<const int64_t> block);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCALED_SCALE_PAIRS_H_
