#include "core/layer_kind.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "core/default_policy.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// By enum value.
constexpr absl::string_view kNames[] = {
    "other",
    "Linear",
    "TransposedLinear",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "Embedding",
    "LSTM",
    "GRU",
    "RNN",
    "LSTMCell",
    "GRUCell",
    "RNNCell",
    "Experts",
};

// Classes that are one of these kinds under another name.
constexpr std::pair<absl::string_view, LayerKind> kOtherClasses[] = {
    {"Conv1D", LayerKind::kTransposedLinear},  // transformers
    {"EmbeddingBag", LayerKind::kEmbedding},
    {"NonDynamicallyQuantizableLinear", LayerKind::kLinear},
};

// What parameters are called that are, or stand for, the weight of a layer:
// with weight normalisation, pruning and parametrizations too.
constexpr absl::string_view kWeights[] = {
    "weight",
    "weight_v",
    "weight_orig",
    "parametrizations.weight.original",
    "parametrizations.weight.original1",
};

// Layers of GPT-2, which are transposed; other models have a Linear under the
// same names.
constexpr absl::string_view kMaybeTransposed[] = {"c_attn", "c_fc", "c_proj",
                                                  "q_attn"};

bool IsOneOf(absl::string_view name,
             absl::Span<const absl::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

LayerKind KindOfClass(absl::string_view name) {
  for (const auto& [other, kind] : kOtherClasses) {
    if (name == other) return kind;
  }
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  return found == std::end(kNames)
             ? LayerKind::kOther
             : static_cast<LayerKind>(found - std::begin(kNames));
}

// "decoder.fc." of "decoder.fc.weight"; empty for the outermost module. Nullopt
// for what is no weight by its name.
std::optional<absl::string_view> ModuleOf(absl::string_view name) {
  for (const absl::string_view weight : kWeights) {
    absl::string_view module = name;
    if (absl::ConsumeSuffix(&module, weight) &&
        (module.empty() || absl::EndsWith(module, "."))) {
      return module;
    }
  }
  return std::nullopt;
}

// The last component of a module that is no number, in lower case: "conv" of
// "decoder.conv.0.".
std::string LastWord(absl::string_view module) {
  std::string last;
  for (absl::string_view word :
       absl::StrSplit(module, '.', absl::SkipEmpty())) {
    if (!std::all_of(word.begin(), word.end(), absl::ascii_isdigit)) {
      last = absl::AsciiStrToLower(word);
    }
  }
  return last;
}

// "mlp.experts.gate_up_proj", "block_sparse_moe.input_linear.weight"; not
// "experts.0.conv.weight", which is of one expert.
bool IsFusedExperts(const TensorInfo& tensor) {
  if (tensor.shape.size() != 3) return false;
  bool found = false;
  for (const absl::string_view word : absl::StrSplit(tensor.name, '.')) {
    if (found && !word.empty() && absl::ascii_isdigit(word[0])) return false;
    found |= word == "experts" || word == "moe" ||
             absl::EndsWith(word, "_experts") || absl::EndsWith(word, "_moe");
  }
  return found;
}

LayerKind Convolution(size_t rank, bool transposed) {
  if (rank > 5) return LayerKind::kOther;
  const LayerKind first =
      transposed ? LayerKind::kConvTranspose1d : LayerKind::kConv1d;
  return static_cast<LayerKind>(static_cast<size_t>(first) + rank - 3);
}

class Finder {
 public:
  explicit Finder(const CheckpointIndex& index) : index_(index) {
    by_name_.reserve(index.tensors.size());
    for (size_t i = 0; i < index.tensors.size(); ++i) {
      by_name_[index.tensors[i].name] = i;
    }
  }

  std::vector<LayerKind> Find();
  int OutputAxis(const TensorInfo& tensor, LayerKind kind) const;

 private:
  // What the bias says of a matrix.
  enum class Evidence { kNone, kLinear, kTransposed };

  const TensorInfo* Named(absl::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &index_.tensors[found->second];
  }
  // Elements of the module's bias, or nullopt.
  std::optional<int64_t> BiasOf(absl::string_view module) const {
    const TensorInfo* bias = Named(absl::StrCat(module, "bias"));
    if (bias == nullptr || bias->shape.size() != 1) return std::nullopt;
    return bias->shape[0];
  }
  Evidence EvidenceFor(const TensorInfo& tensor) const;
  std::optional<LayerKind> Recurrent(const TensorInfo& tensor) const;
  LayerKind Convolution(const TensorInfo& tensor,
                        absl::string_view module) const;
  LayerKind KindOf(const TensorInfo& tensor) const;

  const CheckpointIndex& index_;
  absl::flat_hash_map<absl::string_view, size_t> by_name_;
  // Some layer with a name of kMaybeTransposed is.
  bool has_transposed_ = false;
};

Finder::Evidence Finder::EvidenceFor(const TensorInfo& tensor) const {
  const std::optional<absl::string_view> module = ModuleOf(tensor.name);
  if (tensor.shape.size() != 2 || !module.has_value()) return Evidence::kNone;
  const std::optional<int64_t> bias = BiasOf(*module);
  if (!bias.has_value() || tensor.shape[0] == tensor.shape[1]) {
    return Evidence::kNone;
  }
  return *bias == tensor.shape[0]   ? Evidence::kLinear
         : *bias == tensor.shape[1] ? Evidence::kTransposed
                                    : Evidence::kNone;
}

// weight_hh has rows for each gate: 4, 3 or 1 times its columns.
std::optional<LayerKind> Finder::Recurrent(const TensorInfo& tensor) const {
  const size_t dot = tensor.name.rfind('.');
  const size_t start = dot == std::string::npos ? 0 : dot + 1;
  const absl::string_view name = tensor.name;
  const absl::string_view module = name.substr(0, start);
  absl::string_view cell = name.substr(start);
  if (!absl::ConsumePrefix(&cell, "weight_ih") &&
      !absl::ConsumePrefix(&cell, "weight_hh") &&
      !absl::ConsumePrefix(&cell, "weight_hr")) {
    return std::nullopt;
  }
  if (!cell.empty() && !absl::StartsWith(cell, "_l")) return std::nullopt;
  // Projections, which only an LSTM has: columns are not the hidden size.
  if (Named(absl::StrCat(module, "weight_hr", cell)) != nullptr) {
    return LayerKind::kLstm;
  }
  const TensorInfo* hidden = Named(absl::StrCat(module, "weight_hh", cell));
  if (hidden == nullptr || hidden->shape.size() != 2 || hidden->shape[1] == 0 ||
      hidden->shape[0] % hidden->shape[1] != 0) {
    return LayerKind::kOther;
  }
  switch (hidden->shape[0] / hidden->shape[1]) {
    case 4:
      return cell.empty() ? LayerKind::kLstmCell : LayerKind::kLstm;
    case 3:
      return cell.empty() ? LayerKind::kGruCell : LayerKind::kGru;
    case 1:
      return cell.empty() ? LayerKind::kRnnCell : LayerKind::kRnn;
    default:
      return LayerKind::kOther;
  }
}

LayerKind Finder::Convolution(const TensorInfo& tensor,
                              absl::string_view module) const {
  const Shape& shape = tensor.shape;
  const std::optional<int64_t> bias = BiasOf(module);
  // Outputs are a multiple of the second dimension in a transposed one, for
  // each group once.
  const bool can_be_transposed =
      !bias.has_value() || (shape[1] > 0 && *bias % shape[1] == 0);
  if (bias.has_value() && *bias != shape[0]) {
    return can_be_transposed ? monoquant::Convolution(shape.size(), true)
                             : LayerKind::kOther;
  }
  const std::string word = LastWord(module);
  const bool says_transposed =
      absl::StrContains(word, "transpose") || absl::StartsWith(word, "deconv");
  return monoquant::Convolution(shape.size(),
                                can_be_transposed && says_transposed);
}

LayerKind Finder::KindOf(const TensorInfo& tensor) const {
  const size_t rank = tensor.shape.size();
  if (rank < 2) return LayerKind::kOther;
  if (!tensor.module_kind.empty()) return KindOfClass(tensor.module_kind);
  const std::optional<LayerKind> recurrent = Recurrent(tensor);
  if (recurrent.has_value()) {
    return rank == 2 ? *recurrent : LayerKind::kOther;
  }
  if (rank == 2 && IsEmbedding(tensor)) return LayerKind::kEmbedding;
  if (!IsWeightOfLayer(tensor)) return LayerKind::kOther;
  if (IsFusedExperts(tensor)) return LayerKind::kExperts;
  const std::optional<absl::string_view> module = ModuleOf(tensor.name);
  if (!module.has_value()) return LayerKind::kOther;
  if (rank > 2) return Convolution(tensor, *module);
  const Evidence evidence = EvidenceFor(tensor);
  const bool transposed = evidence == Evidence::kTransposed ||
                          (evidence == Evidence::kNone && has_transposed_ &&
                           IsOneOf(LastWord(*module), kMaybeTransposed));
  return transposed ? LayerKind::kTransposedLinear : LayerKind::kLinear;
}

std::vector<LayerKind> Finder::Find() {
  for (const TensorInfo& tensor : index_.tensors) {
    if (EvidenceFor(tensor) == Evidence::kTransposed &&
        IsOneOf(LastWord(*ModuleOf(tensor.name)), kMaybeTransposed)) {
      has_transposed_ = true;
      break;
    }
  }
  std::vector<LayerKind> kinds;
  kinds.reserve(index_.tensors.size());
  for (const TensorInfo& tensor : index_.tensors) {
    kinds.push_back(KindOf(tensor));
  }
  return kinds;
}

int Finder::OutputAxis(const TensorInfo& tensor, LayerKind kind) const {
  if (kind == LayerKind::kTransposedLinear) return 1;
  if (kind < LayerKind::kConvTranspose1d ||
      kind > LayerKind::kConvTranspose3d) {
    return 0;
  }
  const std::optional<absl::string_view> module = ModuleOf(tensor.name);
  return module.has_value() && BiasOf(*module) == tensor.shape[1] ? 1 : 0;
}

}  // namespace

absl::string_view LayerKindName(LayerKind kind) {
  return kNames[static_cast<size_t>(kind)];
}

std::string LayerKindNames() {
  return absl::StrJoin(std::begin(kNames) + 1, std::end(kNames), ", ");
}

absl::StatusOr<LayerKind> ParseLayerKind(absl::string_view name) {
  for (size_t i = 1; i < std::size(kNames); ++i) {
    if (absl::EqualsIgnoreCase(kNames[i], name)) {
      return static_cast<LayerKind>(i);
    }
  }
  return InvalidArgumentError("there is no layer type ", QuotedName(name),
                              "; use one of ", LayerKindNames());
}

std::vector<LayerKind> FindLayerKinds(const CheckpointIndex& index) {
  return Finder(index).Find();
}

std::vector<int> FindOutputAxes(const CheckpointIndex& index,
                                absl::Span<const LayerKind> kinds) {
  const Finder finder(index);
  std::vector<int> axes;
  axes.reserve(kinds.size());
  for (size_t i = 0; i < kinds.size(); ++i) {
    axes.push_back(finder.OutputAxis(index.tensors[i], kinds[i]));
  }
  return axes;
}

}  // namespace monoquant
