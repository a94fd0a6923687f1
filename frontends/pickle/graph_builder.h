// Makes the nodes of a pickle graph, within limits.

#ifndef MONOQUANT_FRONTENDS_PICKLE_GRAPH_BUILDER_H_
#define MONOQUANT_FRONTENDS_PICKLE_GRAPH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// All errors are DataLoss without a position.
class PickleGraphBuilder {
 public:
  struct Limits {
    size_t values;  // nodes
    size_t memory;  // bytes for the pickle and for all that is made of it
  };

  PickleGraphBuilder(std::string bytes, const Limits& limits);

  // The pickle's own bytes, and any string node's text.
  absl::string_view bytes() const { return graph_.bytes_; }
  const PickleGraph& graph() const { return graph_; }

  // Where the instruction begins that the following calls are part of.
  void BeginInstruction(size_t position) {
    position_ = static_cast<uint32_t>(position);
    ++graph_.instructions_;
  }
  void SetProtocol(int protocol);

  // Counts memory that somebody else takes for this pickle.
  absl::Status Spend(size_t bytes);

  absl::StatusOr<NodeId> Bool(bool value);
  absl::StatusOr<NodeId> Int(int64_t value);
  absl::StatusOr<NodeId> Float(double value);
  // A string or bytes that are a slice of bytes().
  absl::StatusOr<NodeId> Slice(NodeKind kind, absl::string_view slice);
  // A string that is not.
  absl::StatusOr<NodeId> Decoded(absl::string_view text);
  absl::StatusOr<NodeId> Tuple(absl::Span<const NodeId> items);
  // None, an integer that is too big, an empty list, dict or set.
  absl::StatusOr<NodeId> Empty(NodeKind kind);
  absl::StatusOr<NodeId> Global(absl::string_view module,
                                absl::string_view name);
  // `keyword_args` may be kNoNode.
  absl::StatusOr<NodeId> Call(NodeId callee, NodeId args, NodeId keyword_args);
  absl::StatusOr<NodeId> PersistentId(NodeId value);

  // To a list, set or object.
  absl::Status Append(NodeId target, absl::Span<const NodeId> items);
  // Keys and values by turns, to a dict or object.
  absl::Status SetItems(NodeId target, absl::Span<const NodeId> entries);
  // To an object or a class.
  absl::Status Build(NodeId target, NodeId state);

  // The graph, with kNoNode for one that is not complete; the builder is used
  // up.
  PickleGraph Finish(NodeId root, size_t consumed) &&;

 private:
  absl::StatusOr<NodeId> New(PickleGraph::Node node);
  // A value without content, of which there is one node.
  absl::StatusOr<NodeId> Shared(PickleGraph::Node node, NodeId* id);
  // Where to keep what is given to an object or a global.
  absl::StatusOr<PickleGraph::Attachments*> Attach(NodeId node);
  // The elements of a list, dict or set.
  absl::StatusOr<std::vector<NodeId>*> Growing(NodeId node);
  absl::Status Extend(absl::Span<const NodeId> items,
                      std::vector<NodeId>* list);
  absl::Status NoteAct(NodeId node, std::vector<PickleAct>* acts);

  const Limits limits_;
  PickleGraph graph_;
  size_t memory_ = 0;
  uint32_t position_ = 0;
  absl::flat_hash_map<std::pair<std::string, std::string>, uint32_t>
      global_ids_;
  NodeId none_ = kNoNode;
  NodeId true_ = kNoNode;
  NodeId false_ = kNoNode;
  NodeId empty_tuple_ = kNoNode;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_GRAPH_BUILDER_H_
