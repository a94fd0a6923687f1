#include "frontends/pickle/graph_builder.h"

#include "absl/strings/str_cat.h"
#include "frontends/pickle/pickle_names.h"
#include "ir/status_macros.h"

namespace monoquant {

PickleGraphBuilder::PickleGraphBuilder(std::string bytes, size_t max_values)
    : max_values_(max_values) {
  graph_.bytes_ = std::move(bytes);
}

absl::StatusOr<NodeId> PickleGraphBuilder::New(PickleGraph::Node node) {
  if (graph_.nodes_.size() >= max_values_) {
    return absl::DataLossError(
        absl::StrCat("more values than the limit of ", max_values_));
  }
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
  all.insert(all.end(), items.begin(), items.end());
  return New(node);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Empty(NodeKind kind) {
  const PickleGraph::Node node = {.kind = kind, .extra = 0, .integer = 0};
  return kind == NodeKind::kNone ? Shared(node, &none_) : New(node);
}

absl::StatusOr<NodeId> PickleGraphBuilder::Global(absl::string_view module,
                                                  absl::string_view name) {
  PickleGlobal global =
      CanonicalGlobal({std::string(module), std::string(name)});
  const auto [it, inserted] =
      global_ids_.try_emplace({global.module, global.name},
                              static_cast<uint32_t>(graph_.globals_.size()));
  if (inserted) graph_.globals_.push_back(std::move(global));
  return New({.kind = NodeKind::kGlobal, .extra = 0, .global = it->second});
}

absl::StatusOr<NodeId> PickleGraphBuilder::Call(NodeId callee, NodeId args,
                                                NodeId keyword_args) {
  if (const PickleGlobal* global = graph_.AsGlobal(callee)) {
    MQ_RETURN_IF_ERROR(CheckCall(*global));
  }
  MQ_ASSIGN_OR_RETURN(
      const NodeId object,
      New({.kind = NodeKind::kObject, .extra = 0, .call = {callee, args}}));
  if (keyword_args != kNoNode) Attach(object).keyword_args = keyword_args;
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
  std::vector<NodeId>* list = nullptr;
  if (kind == NodeKind::kList || kind == NodeKind::kSet) {
    list = &Growing(target);
  } else if (kind == NodeKind::kObject || kind == NodeKind::kGlobal) {
    list = &Attach(target).items;
  } else {
    return absl::DataLossError(absl::StrCat(
        "items are appended to a value of type ", NodeKindName(kind)));
  }
  list->insert(list->end(), items.begin(), items.end());
  return absl::OkStatus();
}

absl::Status PickleGraphBuilder::SetItems(NodeId target,
                                          absl::Span<const NodeId> entries) {
  if (entries.empty()) return absl::OkStatus();
  if (entries.size() % 2 != 0) {
    return absl::DataLossError("a key has no value");
  }
  const NodeKind kind = graph_.kind(target);
  std::vector<NodeId>* list = nullptr;
  if (kind == NodeKind::kDict) {
    list = &Growing(target);
  } else if (kind == NodeKind::kObject || kind == NodeKind::kGlobal) {
    list = &Attach(target).entries;
  } else {
    return absl::DataLossError(
        absl::StrCat("keys are set in a value of type ", NodeKindName(kind)));
  }
  list->insert(list->end(), entries.begin(), entries.end());
  return absl::OkStatus();
}

absl::Status PickleGraphBuilder::Build(NodeId target, NodeId state) {
  const NodeKind kind = graph_.kind(target);
  if (kind != NodeKind::kObject && kind != NodeKind::kGlobal) {
    return absl::DataLossError(absl::StrCat(
        "a state is given to a value of type ", NodeKindName(kind)));
  }
  Attach(target).states.push_back(state);
  return absl::OkStatus();
}

PickleGraph PickleGraphBuilder::Finish(NodeId root, size_t consumed) && {
  graph_.root_ = root;
  graph_.consumed_ = consumed;
  return std::move(graph_);
}

PickleGraph::Attachments& PickleGraphBuilder::Attach(NodeId node) {
  uint32_t& extra = graph_.nodes_[node].extra;
  if (extra == 0) {
    graph_.attachments_.emplace_back();
    extra = static_cast<uint32_t>(graph_.attachments_.size());
  }
  return graph_.attachments_[extra - 1];
}

std::vector<NodeId>& PickleGraphBuilder::Growing(NodeId node) {
  uint32_t& extra = graph_.nodes_[node].extra;
  if (extra == 0) {
    graph_.growing_.emplace_back();
    extra = static_cast<uint32_t>(graph_.growing_.size());
  }
  return graph_.growing_[extra - 1];
}

}  // namespace monoquant
