// Tensors in a pickle: the calls by which torch would rebuild them, read as
// data.

#ifndef MONOQUANT_FRONTENDS_TORCH_REBUILD_H_
#define MONOQUANT_FRONTENDS_TORCH_REBUILD_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/tensors/placed_tensor.h"

namespace monoquant {

// A strided tensor as the pickle describes it.
struct TorchTensor : StridedTensor {
  // What the pickle calls its storage.
  std::string storage_key;
  // The values are codes; scale and zero point are in the pickle only.
  bool quantized = false;
};

struct TorchValue {
  enum class Kind {
    kNoTensor,
    kTensor,
    kParts,  // a tensor made of others: sparse, nested, a wrapper class
    kMeta,   // a tensor without data
  };
  Kind kind = Kind::kNoTensor;
  TorchTensor tensor;  // kTensor only
  // Values that belong to the tensor, by name: the components of a sparse
  // tensor, the attributes of a parameter.
  std::vector<std::pair<std::string, NodeId>> parts;
  absl::string_view what;  // kParts and kMeta: "sparse", ...
};

// True for a call of one of torch's rebuild functions.
bool IsTensorCall(const PickleGraph& graph, NodeId node);

// What such a call would make; kNoTensor for every other node. DataLoss if the
// call is malformed, Unimplemented for an unknown dtype; neither names the
// file or the tensor.
absl::StatusOr<TorchValue> RebuildTensor(const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_REBUILD_H_
