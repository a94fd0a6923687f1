// Weights that bitsandbytes quantized, as Transformers saves them.

#ifndef MONOQUANT_FRONTENDS_ENGINES_BITSANDBYTES_H_
#define MONOQUANT_FRONTENDS_ENGINES_BITSANDBYTES_H_

#include "absl/status/status.h"
#include "frontends/engines/engine_weights.h"

namespace monoquant {

// Adds the weights M.weight with codes of 4 bits, those beside which there is
// an M.weight.quant_state.bitsandbytes__nf4 or __fp4
// (QuantStorage::kBitsandbytes, and kBitsandbytesNested where scales are codes
// too), and those with codes of 8 bits, which have an M.SCB beside them. A
// 4-bit weight's shape and type and the size of its blocks are told by
// quant_state alone, and have to agree with the sizes of the tensors. Reads
// quant_state and quant_map, a few hundred bytes a weight, and of 8 bits the
// byte in M.weight_format.
//
// DataLoss for parts that are missing, left over, or disagree with each other
// or the configuration. Unimplemented for blocks that go over the ends of rows,
// for tables of other numbers, for codes of 4 bits that are stored as elements
// of another type than U8, and for codes of 8 bits that are not row by row.
absl::Status FindBitsandbytesWeights(EngineWeights* weights);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_BITSANDBYTES_H_
