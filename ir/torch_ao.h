// The weights that torch.ao.nn.quantized.dynamic keeps packed, and which of its
// modules they are in. Everything follows from names: a checkpoint has nothing
// else.

#ifndef MONOQUANT_IR_TORCH_AO_H_
#define MONOQUANT_IR_TORCH_AO_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace monoquant {

enum class TorchAoModule : uint8_t {
  kLinear,     // M.weight
  kRecurrent,  // M.weight_ih_l0, M.weight_hh_l0, ...: LSTM and GRU
  kCell,       // M.weight_ih, M.weight_hh: LSTMCell, GRUCell, RNNCell
};

// One weight of such a module, under the name that the float module has.
struct TorchAoWeight {
  TorchAoModule kind = TorchAoModule::kLinear;
  std::string module;  // "encoder.lstm"; never empty
  std::string bias;    // "encoder.lstm.bias_hh_l0_reverse"
  bool hidden = false;
  // kRecurrent only. Layers are counted from 0, to kMaxLayers - 1.
  size_t layer = 0;
  bool reverse = false;

  static constexpr size_t kMaxLayers = 1000;

  // The position of its cell among those of the module.
  size_t Cell(bool bidirectional) const {
    return bidirectional ? 2 * layer + (reverse ? 1 : 0) : layer;
  }
};

// What a weight called `name` is; nullopt for every other name, and for weights
// of the outermost module, which torch does not replace.
std::optional<TorchAoWeight> ParseTorchAoWeight(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_IR_TORCH_AO_H_
