#include "frontends/pickle/graph_builder.h"

#include <algorithm>

#include "frontends/pickle/pickle_names.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// What things cost, with the slack of their containers: a vector that grows
// holds its old and its new block at once, a small allocation is never below
// 32 bytes.
constexpr size_t kNodeCost = 17;
constexpr size_t kItemCost = 3 * sizeof(NodeId);
constexpr size_t kListCost = sizeof(std::vector<NodeId>) + 32;
constexpr size_t kAttachmentsCost = 4 * kListCost;
constexpr size_t kActCost = 3 * sizeof(PickleAct);
constexpr size_t kGlobalCost = 1024;  // besides the names, of which it has two
// Python imports no module with such a name.
constexpr size_t kMaxGlobalName = 64 << 10;
constexpr size_t kPositionCost = 2 * sizeof(uint32_t);

}  // namespace

PickleGraphBuilder::PickleGraphBuilder(std::string bytes, const Limits& limits)
    : limits_(limits) {
  graph_.bytes_ = std::move(bytes);
  memory_ = graph_.bytes_.size();
}

void PickleGraphBuilder::SetProtocol(int protocol) {
  graph_.protocol_ = std::max(graph_.protocol_, protocol);
}

absl::Status PickleGraphBuilder::Spend(size_t bytes) {
  memory_ += bytes;
  if (memory_ <= limits_.memory) return absl::OkStatus();
  return DataLossError("its values take more memory than the limit of ",
                       limits_.memory);
}

absl::StatusOr<NodeId> PickleGraphBuilder::New(PickleGraph::Node node) {
  if (graph_.nodes_.size() >= limits_.values) {
    return DataLossError("more values than the limit of ", limits_.values);
  }
  MQ_RETURN_IF_ERROR(Spend(kNodeCost));
  graph_.nodes_.push_back(node);
  return static_cast<NodeId>(graph_.nodes_.size() - 1);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Shared(PickleGraph::Node node,
                                                  NodeId* id) {
  if (*id == kNoNode) {
    MQ_ASSIGN_OR_RETURN(*id, New(node));
  }
  return *id;
}

absl::StatusOr<NodeId> PickleGraphBuilder::Bool(bool value) {
  return Shared({.kind = NodeKind::kBool, .extra = 0, .boolean = value},
                value ? &true_ : &false_);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Int(int64_t value) {
  return New({.kind = NodeKind::kInt, .extra = 0, .integer = value});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Float(double value) {
  return New({.kind = NodeKind::kFloat, .extra = 0, .real = value});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Slice(NodeKind kind,
                                                 absl::string_view slice) {
  const auto offset = static_cast<uint32_t>(slice.data() - bytes().data());
  const auto size = static_cast<uint32_t>(slice.size());
  return New({.kind = kind, .extra = 0, .text = {offset, size}});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Decoded(absl::string_view text) {
  MQ_RETURN_IF_ERROR(Spend(3 * text.size()));
  const auto offset =
      static_cast<uint32_t>(graph_.bytes_.size() + graph_.decoded_.size());
  const auto size = static_cast<uint32_t>(text.size());
  graph_.decoded_.append(text.data(), text.size());
  return New({.kind = NodeKind::kString, .extra = 0, .text = {offset, size}});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Tuple(
    absl::Span<const NodeId> items) {
  std::vector<NodeId>& all = graph_.tuple_items_;
  const auto first = static_cast<uint32_t>(all.size());
  const auto count = static_cast<uint32_t>(items.size());
  const PickleGraph::Node node = {
      .kind = NodeKind::kTuple, .extra = 0, .items = {first, count}};
  if (items.empty()) return Shared(node, &empty_tuple_);
  MQ_RETURN_IF_ERROR(Extend(items, &all));
  return New(node);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Empty(NodeKind kind) {
  const PickleGraph::Node node = {.kind = kind, .extra = 0, .integer = 0};
  return kind == NodeKind::kNone ? Shared(node, &none_) : New(node);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Global(absl::string_view module,
                                                  absl::string_view name) {
  if (module.size() + name.size() > kMaxGlobalName) {
    return DataLossError("the name of a class exceeds the limit of ",
                         kMaxGlobalName);
  }
  PickleGlobal global =
      CanonicalGlobal({std::string(module), std::string(name)});
  const auto [it, inserted] =
      global_ids_.try_emplace({global.module, global.name},
                              static_cast<uint32_t>(graph_.globals_.size()));
  if (inserted) {
    MQ_RETURN_IF_ERROR(
        Spend(kGlobalCost + 2 * (global.module.size() + global.name.size())));
    graph_.globals_.push_back(std::move(global));
    graph_.mentions_.emplace_back();
  }
  PickleMentions& mentions = graph_.mentions_[it->second];
  if (mentions.count++ < PickleMentions::kKept) {
    MQ_RETURN_IF_ERROR(Spend(kPositionCost));
    mentions.positions.push_back(position_);
  }
  return New({.kind = NodeKind::kGlobal, .extra = 0, .global = it->second});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Call(NodeId callee, NodeId args,
                                                NodeId keyword_args) {
  MQ_ASSIGN_OR_RETURN(
      const NodeId object,
      New({.kind = NodeKind::kObject, .extra = 0, .call = {callee, args}}));
  if (keyword_args != kNoNode) {
    MQ_ASSIGN_OR_RETURN(PickleGraph::Attachments* const attachments,
                        Attach(object));
    attachments->keyword_args = keyword_args;
  }
  MQ_RETURN_IF_ERROR(NoteAct(object, &graph_.calls_));
  return object;
}

absl::StatusOr<NodeId> PickleGraphBuilder::PersistentId(NodeId value) {
  return New(
      {.kind = NodeKind::kPersistentId, .extra = 0, .persistent = value});
}

absl::Status PickleGraphBuilder::Append(NodeId target,
                                        absl::Span<const NodeId> items) {
  if (items.empty()) return absl::OkStatus();
  const NodeKind kind = graph_.kind(target);
  if (kind == NodeKind::kList || kind == NodeKind::kSet) {
    MQ_ASSIGN_OR_RETURN(std::vector<NodeId>* const list, Growing(target));
    return Extend(items, list);
  }
  if (kind == NodeKind::kObject || kind == NodeKind::kGlobal) {
    MQ_ASSIGN_OR_RETURN(PickleGraph::Attachments* const attachments,
                        Attach(target));
    MQ_RETURN_IF_ERROR(NoteAct(target, &graph_.changes_));
    return Extend(items, &attachments->items);
  }
  return DataLossError("items are appended to a value of type ",
                       NodeKindName(kind));
}

absl::Status PickleGraphBuilder::SetItems(NodeId target,
                                          absl::Span<const NodeId> entries) {
  if (entries.empty()) return absl::OkStatus();
  if (entries.size() % 2 != 0) {
    return DataLossError("a key has no value");
  }
  const NodeKind kind = graph_.kind(target);
  if (kind == NodeKind::kDict) {
    MQ_ASSIGN_OR_RETURN(std::vector<NodeId>* const list, Growing(target));
    return Extend(entries, list);
  }
  if (kind == NodeKind::kObject || kind == NodeKind::kGlobal) {
    MQ_ASSIGN_OR_RETURN(PickleGraph::Attachments* const attachments,
                        Attach(target));
    MQ_RETURN_IF_ERROR(NoteAct(target, &graph_.changes_));
    return Extend(entries, &attachments->entries);
  }
  return DataLossError("keys are set in a value of type ", NodeKindName(kind));
}

absl::Status PickleGraphBuilder::Build(NodeId target, NodeId state) {
  const NodeKind kind = graph_.kind(target);
  if (kind != NodeKind::kObject && kind != NodeKind::kGlobal) {
    return DataLossError("a state is given to a value of type ",
                         NodeKindName(kind));
  }
  MQ_ASSIGN_OR_RETURN(PickleGraph::Attachments* const attachments,
                      Attach(target));
  MQ_RETURN_IF_ERROR(NoteAct(target, &graph_.changes_));
  return Extend({&state, 1}, &attachments->states);
}

PickleGraph PickleGraphBuilder::Finish(NodeId root, size_t consumed) && {
  graph_.root_ = root;
  graph_.consumed_ = consumed;
  return std::move(graph_);
}

absl::StatusOr<PickleGraph::Attachments*> PickleGraphBuilder::Attach(
    NodeId node) {
  uint32_t& extra = graph_.nodes_[node].extra;
  if (extra == 0) {
    MQ_RETURN_IF_ERROR(Spend(kAttachmentsCost));
    graph_.attachments_.emplace_back();
    extra = static_cast<uint32_t>(graph_.attachments_.size());
  }
  return &graph_.attachments_[extra - 1];
}

absl::StatusOr<std::vector<NodeId>*> PickleGraphBuilder::Growing(NodeId node) {
  uint32_t& extra = graph_.nodes_[node].extra;
  if (extra == 0) {
    MQ_RETURN_IF_ERROR(Spend(kListCost));
    graph_.growing_.emplace_back();
    extra = static_cast<uint32_t>(graph_.growing_.size());
  }
  return &graph_.growing_[extra - 1];
}

absl::Status PickleGraphBuilder::Extend(absl::Span<const NodeId> items,
                                        std::vector<NodeId>* list) {
  MQ_RETURN_IF_ERROR(Spend(items.size() * kItemCost));
  list->insert(list->end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status PickleGraphBuilder::NoteAct(NodeId node,
                                         std::vector<PickleAct>* acts) {
  MQ_RETURN_IF_ERROR(Spend(kActCost));
  acts->push_back({node, position_});
  return absl::OkStatus();
}

}  // namespace monoquant
