// Weights of torchao's tensor classes, as torchao and Transformers save them in
// safetensors files.

#ifndef MONOQUANT_FRONTENDS_ENGINES_TORCHAO_H_
#define MONOQUANT_FRONTENDS_ENGINES_TORCHAO_H_

#include "absl/status/status.h"
#include "frontends/engines/engine_weights.h"

namespace monoquant {

// Adds the weights M.weight that the text metadata describes, each under its
// name, as one of these classes:
//   Int8Tensor                M._weight_qdata of I8
//   Float8Tensor              M._weight_qdata of F8_E4M3 or F8_E5M2
//   IntxUnpackedToInt8Tensor  M._weight_qdata of I8, of 1 to 8 bits; as int4
//                             if they are no more than 4, else as int8
// with scales of the whole weight, of rows, of groups or, of FP8, of squares.
// What divides the weight is told by the shape of the scales, with which
// block_size has to agree. Where that is how monoquant writes them, they are in
// QuantStorage::kTorchao, otherwise in kTorchaoBlocks. Integers are symmetric
// if they have no zero points, if they are of an Int8Tensor, or if the
// configuration has no other mapping_type for weights; their zero points count
// whatever is said of them. Descriptions of tensors that are not there, as in
// one shard of several, are left alone.
//
// DataLoss for parts that are missing, left over, or disagree with each other
// or with a description. Unimplemented for other classes, for floats as zero
// points, for blocks of other shapes, and for what changes activations
// (act_pre_scale).
absl::Status FindTorchaoWeights(EngineWeights* weights);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_TORCHAO_H_
