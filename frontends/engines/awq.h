// Weights that programs of AWQ's saved (AutoAWQ, GPTQModel).

#ifndef MONOQUANT_FRONTENDS_ENGINES_AWQ_H_
#define MONOQUANT_FRONTENDS_ENGINES_AWQ_H_

#include "absl/status/status.h"
#include "frontends/engines/engine_weights.h"

namespace monoquant {

// Adds the weights M.weight that are stored as M.qweight, M.qzeros and M.scales
// in the version "gemm" (QuantStorage::kAwq). Their groups follow from the
// shapes.
//
// DataLoss for parts that are missing, left over, or disagree with each other
// or the configuration. Unimplemented for other versions and for codes of other
// than 4 bits.
absl::Status FindAwqWeights(EngineWeights* weights);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_AWQ_H_
