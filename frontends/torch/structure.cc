#include "frontends/torch/structure.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/rebuild.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

using Mapping = std::vector<DictEntry>;

constexpr size_t kMaxClassName = 200;

void AppendMapping(const PickleGraph& graph, const Mapping& mapping,
                   Structure* structure) {
  for (const DictEntry& entry : mapping) {
    auto name = KeyName(graph, entry.key);
    structure->cost += 1 + (name.has_value() ? name->size() / 64 : 0);
    if (name.has_value()) {
      structure->children.push_back({*std::move(name), entry.value});
    } else {
      structure->unnamed.push_back(entry.value);
    }
  }
}

// Elements are named by their number, counted on where there are some already.
void AppendItems(absl::Span<const NodeId> items, Structure* structure) {
  structure->cost += items.size();
  for (NodeId item : items) {
    structure->children.push_back(
        {absl::StrCat(structure->children.size()), item});
  }
}

std::optional<Mapping> FindMapping(const PickleGraph& graph,
                                   const Mapping& mapping,
                                   absl::string_view key) {
  const NodeId node = FindEntry(mapping, graph, key);
  if (node == kNoNode) return std::nullopt;
  return AsMapping(graph, node);
}

// The parts that state_dict() walks, in its order. False if the state is none
// of an nn.Module.
bool ExpandModule(const PickleGraph& graph, const Mapping& state,
                  Structure* structure) {
  const auto parameters = FindMapping(graph, state, "_parameters");
  const auto buffers = FindMapping(graph, state, "_buffers");
  const auto modules = FindMapping(graph, state, "_modules");
  if (!parameters.has_value() || !buffers.has_value() || !modules.has_value()) {
    return false;
  }
  structure->cost += state.size() + buffers->size();
  absl::flat_hash_set<absl::string_view> not_saved;
  const NodeId set = FindEntry(state, graph, "_non_persistent_buffers_set");
  if (set != kNoNode) {
    const auto items = graph.Items(Unwrap(graph, set));
    structure->cost += items.size();
    for (NodeId item : items) {
      if (const auto name = graph.AsString(item)) not_saved.insert(*name);
    }
  }
  AppendMapping(graph, *parameters, structure);
  for (const DictEntry& buffer : *buffers) {
    const auto name = graph.AsString(buffer.key);
    if (name.has_value() && not_saved.contains(*name)) continue;
    AppendMapping(graph, {buffer}, structure);
  }
  AppendMapping(graph, *modules, structure);
  return true;
}

void ExpandObject(const PickleGraph& graph, NodeId node, Structure* structure) {
  if (const PickleGlobal* global = ClassOf(graph, node)) {
    // The last part of a name like "Outer.Inner".
    structure->class_name = global->name.substr(global->name.rfind('.') + 1);
    if (structure->class_name.size() > kMaxClassName ||
        !IsValidUtf8(structure->class_name)) {
      structure->class_name.clear();
    }
  }
  for (NodeId state : graph.States(node)) {
    const auto mapping = AsMapping(graph, state);
    if (mapping.has_value() && ExpandModule(graph, *mapping, structure)) {
      structure->kind = Structure::Kind::kModule;
      return;
    }
  }
  structure->kind = Structure::Kind::kObject;
  const NodeId args = graph.Args(node);
  if (args != kNoNode) {
    for (NodeId arg : graph.Items(args)) {
      // Classes tell how to make the object, not what is in it.
      if (graph.kind(arg) != NodeKind::kGlobal) AppendItems({arg}, structure);
    }
  }
  AppendItems(graph.Items(node), structure);
  for (NodeId state : graph.States(node)) {
    if (const auto mapping = AsMapping(graph, state)) {
      AppendMapping(graph, *mapping, structure);
    } else {
      AppendItems(graph.Items(state), structure);
    }
  }
}

}  // namespace

Structure Expand(const PickleGraph& graph, NodeId node) {
  node = Unwrap(graph, node);
  Structure structure;
  if (const auto mapping = AsMapping(graph, node)) {
    structure.kind = Structure::Kind::kMapping;
    AppendMapping(graph, *mapping, &structure);
    return structure;
  }
  switch (graph.kind(node)) {
    case NodeKind::kTuple:
    case NodeKind::kList:
    case NodeKind::kSet:
      structure.kind = Structure::Kind::kSequence;
      AppendItems(graph.Items(node), &structure);
      break;
    case NodeKind::kObject:
      ExpandObject(graph, node, &structure);
      break;
    default:
      break;
  }
  return structure;
}

size_t TensorCounter::Count(NodeId node, size_t enough) {
  size_t count = 0;
  std::vector<NodeId> pending;
  const auto visit = [&](NodeId next) {
    if (next == kNoNode || seen_[next]) return;
    seen_[next] = true;
    pending.push_back(next);
  };
  visit(node);
  while (!pending.empty() && count < enough) {
    const NodeId next = pending.back();
    pending.pop_back();
    if (IsTensorCall(graph_, next)) {
      ++count;
      continue;
    }
    for (NodeId item : graph_.Items(next)) visit(item);
    for (NodeId entry : graph_.Entries(next)) visit(entry);
    for (NodeId state : graph_.States(next)) visit(state);
    visit(graph_.Args(next));
    visit(graph_.KeywordArgs(next));
  }
  return count;
}

}  // namespace monoquant
