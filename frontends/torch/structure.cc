#include "frontends/torch/structure.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/torch/numpy_array.h"
#include "frontends/torch/packed_params.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/rebuild.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

using Mapping = std::vector<DictEntry>;

constexpr size_t kMaxClassName = 200;

// Nobody's modules have more. Looking for the parts of a module must be cheap,
// since many objects can share one dict.
constexpr size_t kMaxModuleAttributes = 10'000;

// Values with more entries are not looked into: a checkpoint has not as many
// tensors, and every entry takes memory while it is looked at.
constexpr size_t kMaxEntries = 1'000'000;

bool IsTooLarge(const PickleGraph& graph, NodeId node) {
  const auto is_too_large = [&](NodeId part) {
    return part != kNoNode && (graph.Items(part).size() > kMaxEntries ||
                               graph.Entries(part).size() / 2 > kMaxEntries);
  };
  if (is_too_large(node) || is_too_large(graph.Args(node))) return true;
  // Many states of one object are as much as one large.
  size_t entries = 0;
  for (NodeId state : graph.States(node)) {
    if (is_too_large(state)) return true;
    entries += graph.Items(state).size() + graph.Entries(state).size() / 2;
    for (NodeId item : graph.Items(state)) {
      if (is_too_large(item)) return true;
    }
  }
  return entries > kMaxEntries;
}

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

// The attributes of an object: a dict; (dict or None, dict) of a class with
// slots; or what the class made of them.
void AppendState(const PickleGraph& graph, NodeId state, Structure* structure) {
  if (const auto mapping = AsMapping(graph, state)) {
    AppendMapping(graph, *mapping, structure);
    return;
  }
  const auto items = graph.Items(state);
  if (graph.kind(state) == NodeKind::kTuple && items.size() == 2) {
    const auto attributes = AsMapping(graph, items[0]);
    const auto slots = AsMapping(graph, items[1]);
    if (slots.has_value() &&
        (attributes.has_value() || graph.kind(items[0]) == NodeKind::kNone)) {
      if (attributes.has_value()) AppendMapping(graph, *attributes, structure);
      AppendMapping(graph, *slots, structure);
      return;
    }
  }
  AppendItems(items, structure);
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
  const auto expand_module = [&](NodeId attributes) {
    const size_t size = graph.Entries(attributes).size() / 2;
    if (size > kMaxModuleAttributes) return false;
    structure->cost += size;
    const auto mapping = AsMapping(graph, attributes);
    if (!mapping.has_value() || !ExpandModule(graph, *mapping, structure)) {
      return false;
    }
    structure->kind = Structure::Kind::kModule;
    return true;
  };
  for (NodeId state : graph.States(node)) {
    if (expand_module(state)) return;
  }
  structure->kind = Structure::Kind::kObject;
  auto packed = FindPackedParams(graph, node);
  if (!packed.empty()) {
    structure->cost += packed.size();
    for (auto& [name, part] : packed) {
      structure->children.push_back({std::move(name), part});
    }
    return;
  }
  const NodeId args = graph.Args(node);
  if (args != kNoNode) {
    // torch.fx pickles a module as a call with its attributes.
    const auto items = graph.Items(args);
    if (!items.empty() && expand_module(items[0])) return;
    for (NodeId arg : items) {
      // Classes tell how to make the object, not what is in it.
      if (graph.kind(arg) != NodeKind::kGlobal) AppendItems({arg}, structure);
    }
  }
  AppendItems(graph.Items(node), structure);
  for (NodeId state : graph.States(node)) AppendState(graph, state, structure);
}

}  // namespace

Structure Expand(const PickleGraph& graph, NodeId node) {
  node = Unwrap(graph, node);
  Structure structure;
  if (IsTooLarge(graph, node)) {
    structure.kind = Structure::Kind::kTooLarge;
    return structure;
  }
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
      if (IsConversion(graph, node)) {
        // deque([], 5), to which its elements were appended.
        const NodeId begun = Unwrap(graph, graph.Items(graph.Args(node))[0]);
        if (IsTooLarge(graph, begun)) {
          structure.kind = Structure::Kind::kTooLarge;
          break;
        }
        structure.kind = Structure::Kind::kSequence;
        AppendItems(graph.Items(begun), &structure);
        AppendItems(graph.Items(node), &structure);
        break;
      }
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
    // Losses and step counts, mostly: nothing tells weights by.
    if (IsNumpyScalar(graph_, next)) continue;
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
