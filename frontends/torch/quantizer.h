// What turns the codes of torch's quantized tensors into values.

#ifndef MONOQUANT_FRONTENDS_TORCH_QUANTIZER_H_
#define MONOQUANT_FRONTENDS_TORCH_QUANTIZER_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/torch/rebuild.h"

namespace monoquant {

// The fifth argument of _rebuild_qtensor, (scheme, ...), as the pickle
// describes it.
struct TorchQuantizer {
  // per_tensor_affine
  double scale = 1;
  int64_t zero_point = 0;

  // per_channel_affine, with or without "_float_qparams": what the zero points
  // are tells, as in torch.
  bool is_per_channel = false;
  int64_t axis = 0;
  TorchTensor scales;
  TorchTensor zero_points;
};

// DataLoss if it is malformed, Unimplemented for other schemes; neither names
// file or tensor. Does not look at the tensor that it belongs to.
absl::StatusOr<std::shared_ptr<const TorchQuantizer>> ReadQuantizer(
    const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_QUANTIZER_H_
