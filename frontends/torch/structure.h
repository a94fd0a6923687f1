// How values in a pickle nest: what is inside of a dict, a list, a module or an
// object of an unknown class, under which names.

#ifndef MONOQUANT_FRONTENDS_TORCH_STRUCTURE_H_
#define MONOQUANT_FRONTENDS_TORCH_STRUCTURE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "frontends/pickle/pickle_graph.h"
#include "ir/marks.h"

namespace monoquant {

struct Child {
  std::string name;
  NodeId node;
};

struct Structure {
  enum class Kind {
    kLeaf,      // nothing inside
    kTooLarge,  // more entries than are looked at
    kMapping,   // a dict
    kSequence,  // a list, tuple or set
    kModule,    // an nn.Module: parameters, buffers, modules
    kObject,    // anything else that a class made, TorchScript's modules too
  };
  Kind kind = Kind::kLeaf;
  std::vector<Child> children;
  // Values of a dict whose keys are no names.
  std::vector<NodeId> unnamed;
  // kModule and kObject: "Linear"; empty if it is no name for a report.
  std::string class_name;
  // A measure of what looking has cost, for limits.
  size_t cost = 1;
};

// Looks one level deep.
Structure Expand(const PickleGraph& graph, NodeId node);

// Counts tensors below nodes but no scalars of NumPy's, each tensor and each
// other node once over all calls: sharing and cycles cost nothing.
class TensorCounter {
 public:
  explicit TensorCounter(const PickleGraph& graph)
      : graph_(graph), seen_(graph.size(), false) {}

  // Tensors below `node`, itself included, that no call has counted before.
  // Stops looking at `enough`.
  size_t Count(NodeId node, size_t enough = static_cast<size_t>(-1));

 private:
  const PickleGraph& graph_;
  Marks seen_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_STRUCTURE_H_
