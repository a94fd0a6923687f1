// Tensors in a pickle: the calls by which torch would rebuild them, read as
// data.

#ifndef MONOQUANT_FRONTENDS_TORCH_REBUILD_H_
#define MONOQUANT_FRONTENDS_TORCH_REBUILD_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/tensors/placed_tensor.h"

namespace monoquant {

struct TorchQuantizer;

// A strided tensor as the pickle describes it.
struct TorchTensor : StridedTensor {
  // What the pickle calls its storage.
  std::string storage_key;
  // The byte of the storage at which the part begins that the tensor lies in,
  // where that is not all of it; storage_bytes are then those of the part.
  std::optional<uint64_t> part_offset;
  // Of NumPy arrays, which have no storage, since their elements are in the
  // pickle itself: the array, the string or bytes that hold the elements
  // (kNoNode if there are none), and whether they are the characters of a
  // UTF-8 text.
  NodeId inline_array = kNoNode;
  NodeId inline_text = kNoNode;
  bool is_latin1 = false;
  // The numbers are big-endian, whatever the file says of its others.
  bool big_endian = false;
  // Of the tar era, whose pickles name tensors that are described outside of
  // them: the name. Nothing else is known then.
  std::optional<std::string> external_key;
  // If not null, the elements are codes, and this tells what they stand for
  // (quantizer.h).
  std::shared_ptr<const TorchQuantizer> quantizer;

  bool is_inline() const { return inline_array != kNoNode; }
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

// True for a call that makes a tensor: one of torch's rebuild functions, a
// tensor class of torch 0.1 to 0.3, a NumPy array or scalar of numbers; and for
// the tar era's references to tensors.
bool IsTensorCall(const PickleGraph& graph, NodeId node);

// True for those that make a tensor of torch's.
bool IsTorchTensorCall(const PickleGraph& graph, NodeId node);

// What such a call would make; kNoTensor for every other node. DataLoss if the
// call is malformed, Unimplemented for an unknown dtype; neither names the
// file or the tensor.
absl::StatusOr<TorchValue> RebuildTensor(const PickleGraph& graph, NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_REBUILD_H_
