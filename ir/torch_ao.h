// The weights that modules of torch.ao.nn.quantized.dynamic keep packed, and
// embeddings of torch.ao.nn.quantized, and which modules they are in.

#ifndef MONOQUANT_IR_TORCH_AO_H_
#define MONOQUANT_IR_TORCH_AO_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/quant_scheme.h"

namespace monoquant {

enum class TorchAoModule : uint8_t {
  kLinear,       // M.weight
  kRecurrent,    // M.weight_ih_l0, M.weight_hh_l0, ...: LSTM and GRU
  kCell,         // M.weight_ih, M.weight_hh: LSTMCell, GRUCell, RNNCell
  kConvolution,  // M.weight of 3 to 5 dimensions: Conv1d, Conv2d, Conv3d
  kEmbedding,    // M.weight as uint8: Embedding and EmbeddingBag
};

// Whether such a module has one weight, and need not have a bias.
inline bool HasOneWeight(TorchAoModule kind) {
  return kind != TorchAoModule::kRecurrent && kind != TorchAoModule::kCell;
}

// One weight of such a module, under the name that the float module has.
struct TorchAoWeight {
  TorchAoModule kind = TorchAoModule::kLinear;
  std::string module;  // "encoder.lstm"; never empty
  std::string bias;    // "encoder.lstm.bias_hh_l0_reverse"; none: empty
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

// What a weight called `name` of this shape is if it has codes of this format:
// of what a state dict has, nothing else tells a Linear from an Embedding.
// Nullopt for every other name or number of dimensions, and for weights of the
// outermost module, which torch does not replace.
std::optional<TorchAoWeight> ParseTorchAoWeight(absl::string_view name,
                                                absl::Span<const int64_t> shape,
                                                NumberFormat format);

}  // namespace monoquant

#endif  // MONOQUANT_IR_TORCH_AO_H_
