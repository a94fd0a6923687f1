#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

absl::string_view NodeKindName(NodeKind kind) {
  switch (kind) {
    case NodeKind::kNone:
      return "None";
    case NodeKind::kBool:
      return "bool";
    case NodeKind::kInt:
    case NodeKind::kBigInt:
      return "int";
    case NodeKind::kFloat:
      return "float";
    case NodeKind::kString:
      return "str";
    case NodeKind::kBytes:
      return "bytes";
    case NodeKind::kTuple:
      return "tuple";
    case NodeKind::kList:
      return "list";
    case NodeKind::kDict:
      return "dict";
    case NodeKind::kSet:
      return "set";
    case NodeKind::kGlobal:
      return "class or function";
    case NodeKind::kObject:
      return "object";
    case NodeKind::kPersistentId:
      return "storage";
  }
  return "";
}

std::optional<int64_t> PickleGraph::AsInt(NodeId node) const {
  if (kind(node) != NodeKind::kInt) return std::nullopt;
  return nodes_[node].integer;
}

std::optional<bool> PickleGraph::AsBool(NodeId node) const {
  if (kind(node) != NodeKind::kBool) return std::nullopt;
  return nodes_[node].boolean;
}

std::optional<double> PickleGraph::AsFloat(NodeId node) const {
  if (kind(node) != NodeKind::kFloat) return std::nullopt;
  return nodes_[node].real;
}

std::optional<absl::string_view> PickleGraph::AsString(NodeId node) const {
  if (kind(node) != NodeKind::kString) return std::nullopt;
  return Text(nodes_[node].text);
}

std::optional<absl::string_view> PickleGraph::AsBytes(NodeId node) const {
  if (kind(node) != NodeKind::kBytes) return std::nullopt;
  return Text(nodes_[node].text);
}

const PickleGlobal* PickleGraph::AsGlobal(NodeId node) const {
  if (kind(node) != NodeKind::kGlobal) return nullptr;
  return &globals_[nodes_[node].global];
}

absl::Span<const NodeId> PickleGraph::Items(NodeId node) const {
  const Node& n = nodes_[node];
  switch (n.kind) {
    case NodeKind::kTuple:
      return absl::MakeConstSpan(tuple_items_)
          .subspan(n.items.first, n.items.count);
    case NodeKind::kList:
    case NodeKind::kSet:
      if (n.extra == 0) return {};
      return growing_[n.extra - 1];
    default: {
      const Attachments* attachments = FindAttachments(node);
      if (attachments == nullptr) return {};
      return attachments->items;
    }
  }
}

absl::Span<const NodeId> PickleGraph::Entries(NodeId node) const {
  const Node& n = nodes_[node];
  if (n.kind == NodeKind::kDict) {
    if (n.extra == 0) return {};
    return growing_[n.extra - 1];
  }
  const Attachments* attachments = FindAttachments(node);
  if (attachments == nullptr) return {};
  return attachments->entries;
}

NodeId PickleGraph::Callee(NodeId node) const {
  return kind(node) == NodeKind::kObject ? nodes_[node].call.callee : kNoNode;
}

NodeId PickleGraph::Args(NodeId node) const {
  return kind(node) == NodeKind::kObject ? nodes_[node].call.args : kNoNode;
}

NodeId PickleGraph::KeywordArgs(NodeId node) const {
  const Attachments* attachments = FindAttachments(node);
  return attachments == nullptr ? kNoNode : attachments->keyword_args;
}

absl::Span<const NodeId> PickleGraph::States(NodeId node) const {
  const Attachments* attachments = FindAttachments(node);
  if (attachments == nullptr) return {};
  return attachments->states;
}

const PickleGlobal* PickleGraph::CalleeGlobal(NodeId node) const {
  const NodeId callee = Callee(node);
  return callee == kNoNode ? nullptr : AsGlobal(callee);
}

NodeId PickleGraph::PersistentValue(NodeId node) const {
  return kind(node) == NodeKind::kPersistentId ? nodes_[node].persistent
                                               : kNoNode;
}

absl::string_view PickleGraph::Text(TextRange range) const {
  if (range.offset < bytes_.size()) {
    return absl::string_view(bytes_).substr(range.offset, range.size);
  }
  return absl::string_view(decoded_).substr(range.offset - bytes_.size(),
                                            range.size);
}

const PickleGraph::Attachments* PickleGraph::FindAttachments(
    NodeId node) const {
  const Node& n = nodes_[node];
  const bool can = n.kind == NodeKind::kObject || n.kind == NodeKind::kGlobal;
  if (!can || n.extra == 0) return nullptr;
  return &attachments_[n.extra - 1];
}

}  // namespace monoquant
