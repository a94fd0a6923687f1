// Which kind of layer a weight belongs to, in torch's terms.
//
// A checkpoint is a list of tensors. Where the file tells the class of a module
// (TorchScript does), that decides; otherwise, in this order, the words of the
// name, the number of dimensions, and the shape of the bias beside the weight.

#ifndef MONOQUANT_CORE_LAYER_KIND_H_
#define MONOQUANT_CORE_LAYER_KIND_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/checkpoint.h"

namespace monoquant {

enum class LayerKind : uint8_t {
  // No weight of a layer in this list, or one that cannot be told.
  kOther = 0,
  kLinear,  // [outputs, inputs]
  // [inputs, outputs]: transformers' Conv1D, of which GPT-2 is made. It is told
  // from a Linear by its bias, which has the size of the second dimension and
  // not of the first; GPT-2's own layers also by others in the same checkpoint,
  // as a square weight proves nothing by itself.
  kTransposedLinear,
  kConv1d,
  kConv2d,
  kConv3d,
  // A weight of [inputs, outputs / groups, ...]. Its shape is that of a
  // convolution, so it is taken for one unless the bias has another size than
  // the first dimension, or the name says it ("deconv", "transpose").
  kConvTranspose1d,
  kConvTranspose2d,
  kConvTranspose3d,
  kEmbedding,  // EmbeddingBag too
  kLstm,       // with projections too
  kGru,
  kRnn,
  kLstmCell,
  kGruCell,
  kRnnCell,
  // All experts of a layer in one tensor of three dimensions:
  // "mlp.experts.gate_up_proj" [experts, 2 * inner, hidden].
  kExperts,
};

// "Linear", "Conv2d", "LSTM"; "other".
absl::string_view LayerKindName(LayerKind kind);

// All names but "other", for messages: "Linear, TransposedLinear".
std::string LayerKindNames();

// By name, whatever the case. InvalidArgument listing the known names.
absl::StatusOr<LayerKind> ParseLayerKind(absl::string_view name);

// The kind of each tensor. Tensors of less than two dimensions, biases among
// them, are kOther. Reads names, shapes and module kinds alone.
std::vector<LayerKind> FindLayerKinds(const CheckpointIndex& index);

// The dimension of each tensor that is the output channels of its layer, where
// `kinds` are those of FindLayerKinds: 1 in a kTransposedLinear, and in a
// transposed convolution whose bias has the size of that dimension; otherwise
// 0. In a transposed convolution of several groups a channel is no index of any
// dimension, and without a bias nothing tells how many there are.
std::vector<int> FindOutputAxes(const CheckpointIndex& index,
                                absl::Span<const LayerKind> kinds);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_LAYER_KIND_H_
