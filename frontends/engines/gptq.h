// Weights that programs of GPTQ's saved (GPTQModel, AutoGPTQ).

#ifndef MONOQUANT_FRONTENDS_ENGINES_GPTQ_H_
#define MONOQUANT_FRONTENDS_ENGINES_GPTQ_H_

#include "absl/status/status.h"
#include "frontends/engines/engine_weights.h"

namespace monoquant {

// Adds the weights M.weight that are stored as M.qweight, M.qzeros, M.scales
// and M.g_idx (QuantStorage::kGptq, kGptqV2), with codes of 4 and 8 bits, mixed
// or not. Which of them a weight has, and how large its groups are, follows
// from the shapes. In the format "gemm" they are those of AWQ.
//
// DataLoss for parts that are missing, left over, or disagree with each other
// or the configuration. Unimplemented for codes of other bits, other formats
// and groups of several sizes.
absl::Status FindGptqWeights(EngineWeights* weights);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_GPTQ_H_
