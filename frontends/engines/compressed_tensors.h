// Weights that compressed-tensors saved (llm-compressor).

#ifndef MONOQUANT_FRONTENDS_ENGINES_COMPRESSED_TENSORS_H_
#define MONOQUANT_FRONTENDS_ENGINES_COMPRESSED_TENSORS_H_

#include "absl/status/status.h"
#include "frontends/engines/engine_weights.h"

namespace monoquant {

// Adds the weights M.weight of these formats:
//   pack-quantized                  M.weight_packed and what belongs to it, 4
//                                   or 8 bits (QuantStorage::kPackQuantized)
//   int-quantized, naive-quantized  M.weight of I8 (kIntQuantized)
//   float-quantized                 M.weight of F8_E4M3 with one scale, or one
//                                   a row (kCompressedTensors)
//   mxfp4-pack-quantized, nvfp4-pack-quantized
//                                   M.weight_packed of U8 (kCompressedTensors)
//   mxfp8-quantized                 M.weight of F8_E4M3 with scales of U8
//                                   (kCompressedTensors)
// FP8 weights with scales of other shapes, those of blocks above all, are left
// to frontends/scaled. Which tensors are quantized, and how, is told by the
// tensors alone; some entry of config_groups must describe it, whatever its
// targets. It decides between 4 and 8 bits for rows of up to four columns,
// which take one word either way. Reads M.weight_shape, 16 bytes a packed
// weight: how many columns a row has in its last word is known from there
// alone.
//
// DataLoss for parts that are missing, left over, or disagree with each other
// or the configuration. Unimplemented for codes of other bits, 4-bit floats in
// other groups, groups by activations (actorder "group"), sparse weights and
// transforms.
absl::Status FindCompressedTensorsWeights(EngineWeights* weights);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_COMPRESSED_TENSORS_H_
