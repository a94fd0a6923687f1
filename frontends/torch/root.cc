#include "frontends/torch/root.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "frontends/torch/numpy_array.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/rebuild.h"
#include "frontends/torch/structure.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/sort.h"

namespace monoquant {
namespace {

// In the order in which they are tried.
constexpr absl::string_view kRootNames[] = {
    "state_dict", "model",  "model_state_dict", "model_state", "module",
    "net",        "params", "params_ema",       "weights",     "generator",
    "ema",
};

// Nobody nests training checkpoints deeper; a cycle would have no end.
constexpr int kMaxRootDepth = 8;

// A mapping, module or object: something that can be a state dict.
bool IsContainer(const Structure& structure) {
  return structure.kind != Structure::Kind::kLeaf &&
         structure.kind != Structure::Kind::kTooLarge &&
         structure.kind != Structure::Kind::kSequence;
}

bool HoldsTensors(const PickleGraph& graph, NodeId node) {
  return TensorCounter(graph).Count(node, /*enough=*/1) > 0;
}

// The child under the first customary name that holds tensors, or nullptr.
const Child* FindCustomary(const PickleGraph& graph,
                           const Structure& structure) {
  for (const absl::string_view name : kRootNames) {
    for (const Child& child : structure.children) {
      if (child.name != name || IsTensorCall(graph, child.node)) continue;
      if (IsContainer(Expand(graph, child.node)) &&
          HoldsTensors(graph, child.node)) {
        return &child;
      }
    }
  }
  return nullptr;
}

void AddLeftOut(const PickleGraph& graph, const Structure& structure,
                const Child& chosen, absl::string_view path,
                TensorCounter* counter, NameList* left_out) {
  for (const Child& child : structure.children) {
    if (&child == &chosen) continue;
    if (graph.kind(child.node) == NodeKind::kNone) continue;
    const std::string name =
        absl::StrCat(path, path.empty() ? "" : ".", child.name);
    if (left_out->IsFull()) {
      left_out->Add(name);
      continue;
    }
    const size_t tensors = counter->Count(child.node);
    std::string what = DescribeNode(graph, child.node);
    if (tensors == 1 && IsTensorCall(graph, child.node)) {
      what = "tensor";
    } else if (tensors > 0) {
      absl::StrAppend(&what, " with ", tensors, " tensors");
    }
    left_out->Add(name, what);
  }
}

}  // namespace

Root GuessRoot(const PickleGraph& graph) {
  Root root;
  root.node = graph.root();
  TensorCounter counter(graph);
  for (int depth = 0; depth < kMaxRootDepth; ++depth) {
    const Structure structure = Expand(graph, root.node);
    // Modules name their own parts; "model" in there is a submodule.
    if (structure.kind != Structure::Kind::kMapping) break;
    // Below the top, a dict with tensors of its own is a state dict.
    const bool has_tensors =
        std::any_of(structure.children.begin(), structure.children.end(),
                    [&](const Child& child) {
                      return IsTensorCall(graph, child.node) &&
                             !IsNumpyScalar(graph, child.node);
                    });
    if (depth > 0 && has_tensors) break;
    const Child* chosen = FindCustomary(graph, structure);
    if (chosen == nullptr) break;
    AddLeftOut(graph, structure, *chosen, root.path, &counter, &root.left_out);
    root.node = chosen->node;
    absl::StrAppend(&root.path, root.path.empty() ? "" : ".", chosen->name);
  }
  return root;
}

absl::StatusOr<Root> FindRoot(const PickleGraph& graph,
                              absl::string_view path) {
  // Names may contain dots, so "a.b.c" can be cut in several ways; all are
  // tried, the longest first name first.
  struct Place {
    NodeId node;
    size_t used;  // bytes of `path`
  };
  std::vector<Place> pending = {{graph.root(), 0}};
  absl::flat_hash_set<std::pair<NodeId, size_t>> seen;
  while (!pending.empty()) {
    const Place place = pending.back();
    pending.pop_back();
    if (place.used > path.size()) {
      Root root;
      root.node = place.node;
      root.path = std::string(path);
      return root;
    }
    if (!seen.insert({place.node, place.used}).second) continue;
    const absl::string_view rest = path.substr(place.used);
    std::vector<Place> next;
    for (const Child& child : Expand(graph, place.node).children) {
      if (rest == child.name || (absl::StartsWith(rest, child.name) &&
                                 rest[child.name.size()] == '.')) {
        next.push_back({child.node, place.used + child.name.size() + 1});
      }
    }
    Sort(next, [](const Place& a, const Place& b) { return a.used < b.used; });
    pending.insert(pending.end(), next.begin(), next.end());
  }
  NameList names;
  for (const Child& child : Expand(graph, graph.root()).children) {
    names.Add(child.name);
  }
  return InvalidArgumentError(
      "there is nothing called ", QuotedName(path), " in it",
      names.empty() ? "" : "; its top level has ", names.ToString());
}

absl::Span<const absl::string_view> CustomaryRootNames() { return kRootNames; }

bool IsTrainingState(absl::string_view name) {
  if (name == "loops" || name == "callbacks") return true;
  if (absl::StartsWith(name, "optimizer") ||
      absl::StartsWith(name, "lr_scheduler")) {
    return true;
  }
  // Whole words: weights may well be called "ampere" or "rngs".
  for (const absl::string_view word : {"rng", "amp"}) {
    if (!absl::StartsWith(name, word)) continue;
    if (name.size() == word.size() || name[word.size()] == '_') return true;
  }
  return false;
}

}  // namespace monoquant
