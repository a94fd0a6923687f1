#include "frontends/torch/packed_params.h"

#include <cstddef>
#include <iterator>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/rebuild.h"

namespace monoquant {
namespace {

using Items = absl::Span<const NodeId>;
using Parts = std::vector<std::pair<std::string, NodeId>>;

enum class Packing { kUnknown, kLinear, kConv, kEmbedding };

struct PackingRow {
  absl::string_view name;
  Packing packing;
};

constexpr PackingRow kPackings[] = {
    {"LinearPackedParamsBase", Packing::kLinear},
    {"Conv2dPackedParamsBase", Packing::kConv},
    {"Conv3dPackedParamsBase", Packing::kConv},
    {"EmbeddingPackedParamsBase", Packing::kEmbedding},
};

constexpr absl::string_view kModules[] = {"__torch__.torch.classes.quantized",
                                          "__torch__.torch.classes.sparse"};

// Scripted modules of quantized convolutions keep their attributes as a tuple.
constexpr absl::string_view kConvAttributes[] = {
    "in_channels", "out_channels", "kernel_size", "stride",
    "padding",     "dilation",     "transposed",  "output_padding",
    "groups",      "padding_mode", "weight",      "bias",
    "scale",       "zero_point",   "training",
};
constexpr size_t kConvPaddingMode = 9;
constexpr size_t kConvWeight = 10;

Packing FindPacking(absl::string_view module, absl::string_view name) {
  for (const absl::string_view known : kModules) {
    if (module != known) continue;
    for (const PackingRow& row : kPackings) {
      if (row.name == name) return row.packing;
    }
  }
  return Packing::kUnknown;
}

// "module.Name".
Packing FindPacking(absl::string_view qualified) {
  const size_t dot = qualified.rfind('.');
  if (dot == absl::string_view::npos) return Packing::kUnknown;
  return FindPacking(qualified.substr(0, dot), qualified.substr(dot + 1));
}

// The elements, by their positions.
Parts Numbered(Items items) {
  Parts parts;
  for (NodeId item : items) {
    parts.emplace_back(absl::StrCat(parts.size()), item);
  }
  return parts;
}

// ("2", [config, weight], [bias]) or (3, [config...], [None, weight, bias]).
Parts ReadConv(const PickleGraph& graph, Items state) {
  if (state.size() != 3) return {};
  const Items tensors = graph.Items(Unwrap(graph, state[1]));
  const Items optional = graph.Items(Unwrap(graph, state[2]));
  if (graph.AsString(state[0]) == "2" && tensors.size() == 2 &&
      optional.size() <= 1) {
    Parts parts = {{"0", tensors[1]}};
    if (!optional.empty()) parts.emplace_back("1", optional[0]);
    parts.emplace_back("config", tensors[0]);
    return parts;
  }
  if (graph.AsInt(state[0]) == 3 && optional.size() == 3) {
    return {{"0", optional[1]}, {"1", optional[2]}, {"config", state[1]}};
  }
  return {};
}

Parts ReadPacked(const PickleGraph& graph, Packing packing, Items state) {
  if (state.empty() || packing == Packing::kUnknown) return {};
  // (weight, bias), and more of convolutions until torch 1.5.
  if (IsTensorCall(graph, state[0])) return Numbered(state);
  if (packing == Packing::kConv) return ReadConv(graph, state);
  // (version, [weight], [...], [bits])
  if (packing == Packing::kEmbedding && state.size() > 1) {
    return Numbered(graph.Items(Unwrap(graph, state[1])));
  }
  return {};
}

Parts ReadConvModule(const PickleGraph& graph, Items state) {
  Parts parts;
  if (state.size() != std::size(kConvAttributes) ||
      graph.kind(state[kConvPaddingMode]) != NodeKind::kString ||
      !IsTensorCall(graph, state[kConvWeight])) {
    return parts;
  }
  for (size_t i = 0; i < state.size(); ++i) {
    parts.emplace_back(kConvAttributes[i], state[i]);
  }
  return parts;
}

}  // namespace

Parts FindPackedParams(const PickleGraph& graph, NodeId node) {
  const PickleGlobal* global = graph.CalleeGlobal(node);
  const Items states = graph.States(node);
  if (global == nullptr || states.size() != 1 ||
      graph.kind(states[0]) != NodeKind::kTuple) {
    return {};
  }
  const Items state = graph.Items(states[0]);
  if (global->Is("torch", "ScriptObject")) {
    // (state, class)
    const auto name =
        state.size() == 2 ? graph.AsString(state[1]) : std::nullopt;
    if (!name.has_value()) return {};
    const Items inner = graph.Items(state[0]);
    Parts parts = ReadPacked(graph, FindPacking(*name), inner);
    return parts.empty() ? Numbered(inner) : parts;
  }
  const Packing packing = FindPacking(global->module, global->name);
  if (packing != Packing::kUnknown) return ReadPacked(graph, packing, state);
  if (!absl::StartsWith(global->module, "__torch__.")) return {};
  return ReadConvModule(graph, state);
}

}  // namespace monoquant
