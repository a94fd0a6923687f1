// State dicts of models that torch.ao.quantization has quantized: their weights
// under the names that the float model has.

#ifndef MONOQUANT_FRONTENDS_TORCH_QUANTIZED_MODULES_H_
#define MONOQUANT_FRONTENDS_TORCH_QUANTIZED_MODULES_H_

#include "frontends/torch/state_dict.h"

namespace monoquant {

// Looks for what modules of torch.ao.nn.quantized have in a state dict, as
// torch 2.13 saves it, and gives weights and biases the names of those of the
// float modules:
//
//   M._packed_params._packed_params.0, .1     M.weight, M.bias: Linear
//   M._packed_params._packed_weight           M.weight: Embedding and
//                                             EmbeddingBag
//   M._packed_weight_ih.0, .1, and _hh        M.weight_ih, M.bias_ih, ...:
//                                             cells
//   M._all_weight_values.I.param.4.J.0, .1    M.weight_ih_l0, M.bias_ih_l0,
//   ...:
//                                             cell I of an LSTM or a GRU, with
//                                             J 1 for hh
//   M.weight, beside M.scale and M.zero_point as it is: convolutions
//
// Weights that are quantized get NamedTensor::is_module_weight. How many
// directions an LSTM has, the shapes of its weights tell; a module whose shapes
// make no sense keeps its paths, and so does a tensor whose name is taken.
//
// If there is any, leaves out what the float model has not: the second copies
// of biases in recurrent modules, M._all_weight_values.I.param.1.J; and scales
// and zero points of activations, one number each: M.scale and M.zero_point, or
// X_scale_N and X_zero_point_N, as torch.fx calls them.
//
// The notes have the latter, and the modules for which two layers or two
// directions are the same shapes: they are read as layers.
void NameQuantizedModules(StateDict* state_dict);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_QUANTIZED_MODULES_H_
