// Which tensors are weights worth quantizing when no rule says otherwise.
//
// A checkpoint is a list of names: what a tensor is for has to be read from its
// name, unless the file tells the class of the module. The tables of words are
// in default_policy.cc; docs/recipe.md lists them for users.

#ifndef MONOQUANT_CORE_DEFAULT_POLICY_H_
#define MONOQUANT_CORE_DEFAULT_POLICY_H_

#include <cstdint>
#include <string>

#include "ir/checkpoint.h"
#include "ir/quant_storage.h"

namespace monoquant {

struct Verdict {
  bool quantize = false;
  std::string reason;  // in words for the user, either way
};

// Float weights of two or more dimensions and at least `min_elements` elements
// that are no embeddings (unless those are wanted, too), no normalisation and
// no buffers.
Verdict DefaultPolicy(const TensorInfo& tensor, int64_t min_elements,
                      bool embeddings = false);

// Why a weight stays as it is in what is made for inference engines, in words;
// empty if it does not. Engines have float layers for the output and for the
// routers of experts. Transformers has the weights of all experts of a layer in
// one tensor, and fills that from quantized ones in some storages only.
std::string ReasonForEngines(const TensorInfo& tensor, QuantStorage storage);

// True if name or module kind say that this is a table of embeddings: rows are
// looked up, not multiplied.
bool IsEmbedding(const TensorInfo& tensor);

// False if name or module kind say that this is an embedding, a normalisation
// or a buffer.
bool IsWeightOfLayer(const TensorInfo& tensor);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_DEFAULT_POLICY_H_
