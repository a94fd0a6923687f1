#include "core/siblings.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/sort.h"

namespace monoquant {
namespace {

// Last names of modules that vLLM and SGLang fuse (their
// packed_modules_mapping), one set a line.
constexpr absl::string_view kFused[][3] = {
    {"q_proj", "k_proj", "v_proj"},          // Llama and most others
    {"query", "key", "value"},               // BERT
    {"gate_proj", "up_proj", ""},            // Llama and most others
    {"w1", "w3", ""},                        // experts of Mixtral
    {"q_a_proj", "kv_a_proj_with_mqa", ""},  // DeepSeek
    {"in_proj_qkvz", "in_proj_ba", ""},      // Qwen3-Next
};

constexpr absl::string_view kWeight = ".weight";

// The parts of "model.layers.0.mlp.up_proj.weight": the module that has the
// layer, and the layer. False for what is no weight of a layer of a module.
bool SplitName(absl::string_view name, absl::string_view* module,
               absl::string_view* layer) {
  if (!absl::EndsWith(name, kWeight)) return false;
  name.remove_suffix(kWeight.size());
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos) return false;
  *module = name.substr(0, dot);
  *layer = name.substr(dot + 1);
  return true;
}

// The set of kFused that has the layer, or the number of sets.
size_t SetOf(absl::string_view layer) {
  const auto* const set = std::find_if(
      std::begin(kFused), std::end(kFused), [&](const auto& names) {
        return !layer.empty() && std::find(std::begin(names), std::end(names),
                                           layer) != std::end(names);
      });
  return static_cast<size_t>(set - std::begin(kFused));
}

// Sets in the order of their first weights.
std::vector<Siblings> InOrder(
    std::map<std::pair<std::string, std::pair<size_t, int64_t>>, Siblings>
        sets) {
  std::vector<Siblings> found;
  for (auto& [key, set] : sets) {
    if (set.weights.size() > 1) found.push_back(std::move(set));
  }
  Sort(found, [](const Siblings& a, const Siblings& b) {
    return a.weights.front() < b.weights.front();
  });
  return found;
}

}  // namespace

absl::string_view ExpertsOf(absl::string_view name) {
  constexpr absl::string_view kExperts = ".experts.";
  const size_t at = name.rfind(kExperts);
  if (at == absl::string_view::npos) return "";
  const size_t number = at + kExperts.size();
  if (number >= name.size() || !absl::ascii_isdigit(name[number])) return "";
  return name.substr(0, number - 1);
}

std::vector<Siblings> FindFusedWeights(const CheckpointIndex& index) {
  // By module, set and number of columns.
  std::map<std::pair<std::string, std::pair<size_t, int64_t>>, Siblings> sets;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& tensor = index.tensors[i];
    absl::string_view module;
    absl::string_view layer;
    if (tensor.shape.size() != 2 || !SplitName(tensor.name, &module, &layer)) {
      continue;
    }
    const size_t set = SetOf(layer);
    if (set == std::size(kFused)) continue;
    Siblings& siblings =
        sets[{std::string(module), {set, tensor.shape.back()}}];
    siblings.name = std::string(module);
    siblings.weights.push_back(i);
  }
  return InOrder(std::move(sets));
}

std::vector<Siblings> FindExpertWeights(const CheckpointIndex& index) {
  std::map<std::pair<std::string, std::pair<size_t, int64_t>>, Siblings> sets;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& tensor = index.tensors[i];
    const absl::string_view experts = ExpertsOf(tensor.name);
    if (tensor.shape.size() != 2 || experts.empty() ||
        !absl::EndsWith(tensor.name, kWeight)) {
      continue;
    }
    Siblings& siblings = sets[{std::string(experts), {0, 0}}];
    siblings.name = std::string(experts);
    siblings.weights.push_back(i);
  }
  return InOrder(std::move(sets));
}

}  // namespace monoquant
