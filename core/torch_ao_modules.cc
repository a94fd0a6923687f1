#include "core/torch_ao_modules.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/layer_kind.h"
#include "ir/dtype.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/torch_ao.h"

namespace monoquant {
namespace {

// A weight and what its name says.
struct NamedWeight {
  size_t tensor;
  TorchAoWeight name;
};

struct NamedModule {
  TorchAoModule kind;
  std::string name;
  std::vector<NamedWeight> weights;
};

bool IsOneOf(absl::string_view name,
             std::initializer_list<absl::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether torch has a quantized module in place of one of this class.
bool HasQuantizedModule(TorchAoModule kind, absl::string_view module_kind) {
  switch (kind) {
    case TorchAoModule::kLinear:
      return module_kind == "Linear";
    case TorchAoModule::kRecurrent:
      return IsOneOf(module_kind, {"LSTM", "GRU"});
    case TorchAoModule::kCell:
      return IsOneOf(module_kind, {"LSTMCell", "GRUCell", "RNNCell"});
    case TorchAoModule::kConvolution:
      return true;  // told by its layer kind
    case TorchAoModule::kEmbedding:
      return IsOneOf(module_kind, {"Embedding", "EmbeddingBag"});
  }
  return false;
}

class Finder {
 public:
  explicit Finder(const CheckpointIndex& index)
      : index_(index), layer_kinds_(FindLayerKinds(index)) {
    by_name_.reserve(index.tensors.size());
    for (size_t i = 0; i < index.tensors.size(); ++i) {
      by_name_[index.tensors[i].name] = i;
      const size_t tie = index.tensors[i].tie;
      if (tie == kNoTie) continue;
      tied_.insert(i);
      tied_.insert(tie);
    }
  }

  std::vector<TorchAoModuleParts> Find();

 private:
  const TensorInfo& info(size_t tensor) const { return index_.tensors[tensor]; }
  bool Has(absl::string_view module, absl::string_view parameter) const {
    return by_name_.contains(absl::StrCat(module, parameter));
  }

  std::optional<TorchAoWeight> Parse(size_t tensor) const;
  std::string Problem(const NamedModule& module) const;
  std::string ProblemOfConvolution(const NamedModule& module) const;
  std::string ProblemOfLinear(const NamedModule& module) const;
  std::string ProblemOfGates(const NamedModule& module) const;
  std::string ProblemOfLayers(const NamedModule& module) const;
  std::string ProblemOfBias(const NamedWeight& weight) const;

  const CheckpointIndex& index_;
  const std::vector<LayerKind> layer_kinds_;
  absl::flat_hash_map<absl::string_view, size_t> by_name_;
  absl::flat_hash_set<size_t> tied_;
};

// Embeddings have no bias, whatever their name says.
std::optional<TorchAoWeight> Finder::Parse(size_t tensor) const {
  const TensorInfo& weight = info(tensor);
  const auto parse = [&weight](NumberFormat format) {
    return ParseTorchAoWeight(weight.name, weight.shape, format);
  };
  std::optional<TorchAoWeight> parsed = parse(NumberFormat::kInt8);
  if (!parsed.has_value() || parsed->kind != TorchAoModule::kLinear ||
      layer_kinds_[tensor] != LayerKind::kEmbedding ||
      (weight.module_kind.empty() && by_name_.contains(parsed->bias))) {
    return parsed;
  }
  return parse(NumberFormat::kUInt8);
}

std::string Finder::ProblemOfConvolution(const NamedModule& module) const {
  const size_t weight = module.weights.front().tensor;
  switch (layer_kinds_[weight]) {
    case LayerKind::kConv1d:
    case LayerKind::kConv2d:
    case LayerKind::kConv3d:
      return "";
    case LayerKind::kConvTranspose1d:
    case LayerKind::kConvTranspose2d:
    case LayerKind::kConvTranspose3d:
      return "is a transposed convolution, for which torch has no scales of "
             "rows";
    default:
      return "is no convolution by its class, its name or its bias";
  }
}

std::string Finder::ProblemOfLinear(const NamedModule& module) const {
  absl::string_view parent = module.name;
  if (!absl::ConsumeSuffix(&parent, "out_proj") ||
      (!parent.empty() && !absl::EndsWith(parent, "."))) {
    return "";
  }
  if (!Has(parent, "in_proj_weight") && !Has(parent, "q_proj_weight")) {
    return "";
  }
  return "is a part of a MultiheadAttention, which torch leaves in float";
}

// Of a recurrent module or a cell: its weights have rows for each gate.
std::string Finder::ProblemOfGates(const NamedModule& module) const {
  int64_t gates = 0;
  for (const NamedWeight& weight : module.weights) {
    const Shape& shape = info(weight.tensor).shape;
    if (!weight.name.hidden) continue;
    const int64_t found =
        shape[1] > 0 && shape[0] % shape[1] == 0 ? shape[0] / shape[1] : 0;
    if (gates != 0 && found != gates) return "has weights that differ in gates";
    gates = found;
  }
  if (gates == 4 || gates == 3) return "";
  if (gates != 1) {
    return "has weights of another shape than those of an LSTM or a GRU";
  }
  return module.kind == TorchAoModule::kCell
             ? ""
             : "is an RNN, which torch has no dynamic module for";
}

// Whether all weights of all cells are there.
std::string Finder::ProblemOfLayers(const NamedModule& module) const {
  std::map<std::pair<size_t, bool>, int> cells;
  bool bidirectional = false;
  size_t layers = 0;
  for (const NamedWeight& weight : module.weights) {
    ++cells[{weight.name.layer, weight.name.reverse}];
    bidirectional |= weight.name.reverse;
    layers = std::max(layers, weight.name.layer + 1);
    if (module.kind == TorchAoModule::kRecurrent &&
        Has(module.name, absl::StrCat(".weight_hr_l", weight.name.layer))) {
      return "has projections, which torch's dynamic LSTM does not";
    }
  }
  const bool complete =
      cells.size() == layers * (bidirectional ? 2 : 1) &&
      std::all_of(cells.begin(), cells.end(),
                  [](const auto& cell) { return cell.second == 2; });
  return complete ? "" : "lacks a weight";
}

std::string Finder::ProblemOfBias(const NamedWeight& weight) const {
  const auto found = by_name_.find(weight.name.bias);
  if (found == by_name_.end()) {
    return HasOneWeight(weight.name.kind)
               ? ""
               : "has no biases, without which torch has no dynamic one";
  }
  const TensorInfo& bias = info(found->second);
  if (bias.shape != Shape{info(weight.tensor).shape[0]}) {
    return absl::StrCat("has a bias of shape ", ShapeToString(bias.shape));
  }
  if (bias.dtype == DType::kF32) return "";
  // These become float32 without a loss, if nothing else shares their bytes.
  const bool is_half = bias.dtype == DType::kF16 || bias.dtype == DType::kBF16;
  const bool tied = tied_.contains(found->second);
  if (is_half && !tied) return "";
  return absl::StrCat("has a bias of ", DTypeName(bias.dtype),
                      is_half ? " that is tied" : "",
                      ", where torch has float32");
}

std::string Finder::Problem(const NamedModule& module) const {
  for (const NamedWeight& weight : module.weights) {
    const std::string& kind = info(weight.tensor).module_kind;
    if (!kind.empty() && !HasQuantizedModule(module.kind, kind)) {
      return absl::StrCat("is of class ", QuotedName(kind),
                          ", which torch has no quantized module for");
    }
  }
  std::string problem;
  switch (module.kind) {
    case TorchAoModule::kLinear:
      problem = ProblemOfLinear(module);
      break;
    case TorchAoModule::kConvolution:
      problem = ProblemOfConvolution(module);
      break;
    case TorchAoModule::kEmbedding:
      break;
    case TorchAoModule::kRecurrent:
    case TorchAoModule::kCell:
      problem = ProblemOfLayers(module);
      if (problem.empty()) problem = ProblemOfGates(module);
      break;
  }
  for (const NamedWeight& weight : module.weights) {
    if (problem.empty()) problem = ProblemOfBias(weight);
  }
  return problem;
}

std::vector<TorchAoModuleParts> Finder::Find() {
  std::vector<NamedModule> modules;
  absl::flat_hash_map<std::pair<TorchAoModule, std::string>, size_t> numbers;
  for (size_t i = 0; i < index_.tensors.size(); ++i) {
    std::optional<TorchAoWeight> weight = Parse(i);
    if (!weight.has_value()) continue;
    const auto [it, is_new] =
        numbers.try_emplace({weight->kind, weight->module}, modules.size());
    if (is_new) modules.push_back({weight->kind, weight->module, {}});
    modules[it->second].weights.push_back({i, *std::move(weight)});
  }
  std::vector<TorchAoModuleParts> result;
  result.reserve(modules.size());
  for (const NamedModule& module : modules) {
    TorchAoModuleParts parts;
    parts.kind = module.kind;
    parts.name = module.name;
    parts.problem = Problem(module);
    for (const NamedWeight& weight : module.weights) {
      parts.weights.push_back(weight.tensor);
      const auto bias = by_name_.find(weight.name.bias);
      if (bias != by_name_.end()) parts.biases.push_back(bias->second);
    }
    parts.is_certain = module.kind != TorchAoModule::kLinear ||
                       !parts.biases.empty() ||
                       !info(parts.weights.front()).module_kind.empty();
    result.push_back(std::move(parts));
  }
  return result;
}

}  // namespace

std::vector<TorchAoModuleParts> FindTorchAoModules(
    const CheckpointIndex& index) {
  return Finder(index).Find();
}

}  // namespace monoquant
