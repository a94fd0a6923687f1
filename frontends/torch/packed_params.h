// Weights inside of the objects that torch packs them into for its quantized
// kernels.

#ifndef MONOQUANT_FRONTENDS_TORCH_PACKED_PARAMS_H_
#define MONOQUANT_FRONTENDS_TORCH_PACKED_PARAMS_H_

#include <string>
#include <utility>
#include <vector>

#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// What is in the state of such an object, by name, in a layout that does not
// depend on the version of torch that wrote it:
//   LinearPackedParamsBase, Conv*PackedParamsBase, EmbeddingPackedParamsBase
//     "0": the weight; "1": the bias, which may be None; "config": strides,
//     padding and the like of convolutions, a tensor or a list
//   torch.ScriptObject, as torch.save writes any of these: what it holds
//   the scripted module of a quantized convolution: "weight", "bias"
// Empty for every other object, and for layouts that are not known.
std::vector<std::pair<std::string, NodeId>> FindPackedParams(
    const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PACKED_PARAMS_H_
