// Which modules of a checkpoint torch has quantized ones for, and which tensors
// belong to them.
//
// torch replaces whole modules: all weights of one are quantized or none, and
// its biases, which are float32, are packed with them.

#ifndef MONOQUANT_CORE_TORCH_AO_MODULES_H_
#define MONOQUANT_CORE_TORCH_AO_MODULES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"
#include "ir/torch_ao.h"

namespace monoquant {

// Tensors are their numbers in CheckpointIndex::tensors.
struct TorchAoModuleParts {
  TorchAoModule kind = TorchAoModule::kLinear;
  std::string name;
  std::vector<size_t> weights;
  std::vector<size_t> biases;
  // Why torch cannot quantize it, to be read after the module's name: "has no
  // biases"; empty if it can.
  std::string problem;
  // Whether it can be of no other kind. Otherwise `kind` is what is likely: a
  // matrix without a bias may be a Linear's or an Embedding's.
  bool is_certain = true;

  // That of the codes of its weights.
  NumberFormat format() const {
    return kind == TorchAoModule::kEmbedding ? NumberFormat::kUInt8
                                             : NumberFormat::kInt8;
  }
};

// Every module with a weight of ir/torch_ao.h, in the order of their first
// tensors. Reads names, shapes, types and module kinds alone.
std::vector<TorchAoModuleParts> FindTorchAoModules(
    const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_TORCH_AO_MODULES_H_
