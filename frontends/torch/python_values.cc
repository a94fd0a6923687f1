#include "frontends/torch/python_values.h"

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/torch/numpy_array.h"
#include "ir/quoted.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

struct GlobalRow {
  absl::string_view module;
  absl::string_view name;
};

// Classes that are mappings even when no key was set.
constexpr GlobalRow kMappings[] = {
    {"builtins", "dict"},
    {"collections", "Counter"},
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
};

// Calls that stand for their first argument.
constexpr GlobalRow kTransparent[] = {
    {"builtins", "frozenset"},
    {"builtins", "list"},
    {"builtins", "set"},
    {"builtins", "tuple"},
    {"collections", "deque"},
    {"torch.jit._pickle", "build_boollist"},
    {"torch.jit._pickle", "build_doublelist"},
    {"torch.jit._pickle", "build_intlist"},
    {"torch.jit._pickle", "build_tensorlist"},
    {"torch.jit._pickle", "restore_type_tag"},
};

bool IsOneOf(const PickleGlobal* global, absl::Span<const GlobalRow> rows) {
  if (global == nullptr) return false;
  for (const GlobalRow& row : rows) {
    if (global->Is(row.module, row.name)) return true;
  }
  return false;
}

// OrderedDict([[key, value], ...]), as Python 2 writes it. Anything else in
// the list is no dict entry and left out.
void AppendPairs(const PickleGraph& graph, NodeId args,
                 std::vector<DictEntry>* entries) {
  const auto items = graph.Items(args);
  if (items.empty()) return;
  for (NodeId pair : graph.Items(items[0])) {
    const auto key_value = graph.Items(pair);
    if (key_value.size() != 2) continue;
    entries->push_back({key_value[0], key_value[1]});
  }
}

// A class: by its name, or by the persistent id that torch gave to the classes
// of modules until 1.5: ('module', class, file, source); in the tar era without
// the first.
const PickleGlobal* AsClass(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) != NodeKind::kPersistentId) return graph.AsGlobal(node);
  const auto items = graph.Items(graph.PersistentValue(node));
  if (items.empty()) return nullptr;
  if (const PickleGlobal* global = graph.AsGlobal(items[0])) return global;
  if (items.size() < 2 || AsText(graph, items[0]) != "module") return nullptr;
  return graph.AsGlobal(items[1]);
}

std::vector<DictEntry> WithoutRepeatedKeys(const PickleGraph& graph,
                                           std::vector<DictEntry> entries) {
  absl::flat_hash_map<absl::string_view, size_t> strings;
  absl::flat_hash_map<int64_t, size_t> integers;
  strings.reserve(entries.size());
  size_t size = 0;
  for (const DictEntry entry : entries) {
    size_t place = size;
    const auto text = graph.AsString(entry.key);
    // Longer strings are no names; a pickle could compare them without end.
    if (text.has_value() && text->size() <= kMaxNamePart) {
      place = strings.try_emplace(*text, size).first->second;
    } else if (const auto integer = graph.AsInt(entry.key)) {
      place = integers.try_emplace(*integer, size).first->second;
    }
    if (place == size) {
      entries[size++] = entry;
    } else {
      entries[place].value = entry.value;
    }
  }
  entries.resize(size);
  return entries;
}

}  // namespace

std::optional<std::vector<DictEntry>> AsMapping(const PickleGraph& graph,
                                                NodeId node) {
  const absl::Span<const NodeId> flat = graph.Entries(node);
  const bool is_known = IsOneOf(graph.CalleeGlobal(node), kMappings);
  if (graph.kind(node) != NodeKind::kDict && !is_known && flat.empty()) {
    return std::nullopt;
  }
  std::vector<DictEntry> entries;
  entries.reserve(flat.size() / 2);
  if (is_known) AppendPairs(graph, graph.Args(node), &entries);
  for (size_t i = 0; i + 1 < flat.size(); i += 2) {
    entries.push_back({flat[i], flat[i + 1]});
  }
  return WithoutRepeatedKeys(graph, std::move(entries));
}

NodeId FindEntry(const std::vector<DictEntry>& mapping,
                 const PickleGraph& graph, absl::string_view key) {
  for (const DictEntry& entry : mapping) {
    if (graph.AsString(entry.key) == key) return entry.value;
  }
  return kNoNode;
}

std::optional<std::string> KeyName(const PickleGraph& graph, NodeId key) {
  if (const auto text = graph.AsString(key)) {
    if (text->size() > kMaxNamePart) return std::nullopt;
    return std::string(*text);
  }
  if (const auto integer = graph.AsInt(key)) return absl::StrCat(*integer);
  return std::nullopt;
}

std::optional<absl::string_view> AsText(const PickleGraph& graph, NodeId node) {
  if (const auto text = graph.AsString(node)) return text;
  return graph.AsBytes(node);
}

std::optional<uint64_t> AsSize(const PickleGraph& graph, NodeId node) {
  const auto value = graph.AsInt(node);
  if (!value.has_value() || *value < 0) return std::nullopt;
  return static_cast<uint64_t>(*value);
}

std::optional<std::vector<int64_t>> AsIntegers(const PickleGraph& graph,
                                               NodeId node) {
  const PickleGlobal* callee = graph.CalleeGlobal(node);
  if (callee != nullptr && callee->Is("torch", "Size")) {
    const auto args = graph.Items(graph.Args(node));
    if (args.size() != 1) return std::nullopt;
    node = args[0];
  }
  const NodeKind kind = graph.kind(node);
  if (kind != NodeKind::kTuple && kind != NodeKind::kList) return std::nullopt;
  if (graph.Items(node).size() > kMaxDims) return std::nullopt;
  std::vector<int64_t> integers;
  for (NodeId item : graph.Items(node)) {
    const auto integer = graph.AsInt(item);
    if (!integer.has_value()) return std::nullopt;
    integers.push_back(*integer);
  }
  return integers;
}

const PickleGlobal* ClassOf(const PickleGraph& graph, NodeId node) {
  const NodeId callee_node = graph.Callee(node);
  if (callee_node == kNoNode) return nullptr;
  const PickleGlobal* callee = AsClass(graph, callee_node);
  if (callee == nullptr) return nullptr;
  // How protocols 0 and 1 make an object: by a helper that gets the class.
  if (callee->module == "copyreg" &&
      (callee->name == "_reconstructor" || callee->name == "__newobj__")) {
    const auto args = graph.Items(graph.Args(node));
    return args.empty() ? nullptr : AsClass(graph, args[0]);
  }
  return callee;
}

bool IsConversion(const PickleGraph& graph, NodeId node) {
  return IsOneOf(graph.CalleeGlobal(node), kTransparent) &&
         !graph.Items(graph.Args(node)).empty();
}

NodeId Unwrap(const PickleGraph& graph, NodeId node) {
  // Calls can be nested; a cycle of them would have no end.
  for (int depth = 0; depth < 100; ++depth) {
    if (!IsConversion(graph, node) || !graph.Items(node).empty() ||
        !graph.Entries(node).empty()) {
      return node;
    }
    node = graph.Items(graph.Args(node))[0];
  }
  return node;
}

std::string DescribeNode(const PickleGraph& graph, NodeId node) {
  const NodeKind kind = graph.kind(node);
  switch (kind) {
    case NodeKind::kDict:
      return absl::StrCat("dict of ", graph.Entries(node).size() / 2);
    case NodeKind::kTuple:
    case NodeKind::kList:
    case NodeKind::kSet:
      return absl::StrCat(NodeKindName(kind), " of ", graph.Items(node).size());
    case NodeKind::kObject: {
      const PickleGlobal* global = ClassOf(graph, node);
      if (global == nullptr) return "object";
      if (IsNumpyCall(graph, node)) return DescribeNumpyCall(graph, node);
      return QuotedName(absl::StrCat(global->module, ".", global->name));
    }
    default:
      return std::string(NodeKindName(kind));
  }
}

}  // namespace monoquant
