#include "frontends/torch/quantized_modules.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/name_list.h"
#include "ir/dtype.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// What a module keeps under a path of its own, and what it is in the float
// module.
struct PathRow {
  absl::string_view path;
  absl::string_view parameter;
  absl::string_view module_kind;
};

constexpr PathRow kPaths[] = {
    {"_packed_params._packed_params.0", "weight", "Linear"},
    {"_packed_params._packed_params.1", "bias", "Linear"},
    {"_packed_params._packed_weight", "weight", "Embedding"},
    {"_packed_weight_ih.0", "weight_ih", ""},
    {"_packed_weight_ih.1", "bias_ih", ""},
    {"_packed_weight_hh.0", "weight_hh", ""},
    {"_packed_weight_hh.1", "bias_hh", ""},
};

// Takes the parts of `path` off the end of `name`; what is left is empty or
// ends with a dot.
bool ConsumeParts(absl::string_view* name, absl::string_view path) {
  absl::string_view rest = *name;
  if (!absl::ConsumeSuffix(&rest, path) ||
      (!rest.empty() && rest.back() != '.')) {
    return false;
  }
  *name = rest;
  return true;
}

// ------------------------------------------------------ recurrent modules --

// M._all_weight_values.I.param.PLACE
struct CellPath {
  absl::string_view module;  // with its dot, or empty
  size_t cell = 0;
  absl::string_view place;
};

std::optional<CellPath> ParseCellPath(absl::string_view name) {
  constexpr absl::string_view kCells = "_all_weight_values.";
  const size_t at = name.rfind(kCells);
  if (at == name.npos) return std::nullopt;
  CellPath path;
  path.module = name.substr(0, at);
  if (!path.module.empty() && path.module.back() != '.') return std::nullopt;
  absl::string_view rest = name.substr(at + kCells.size());
  const absl::string_view number = rest.substr(0, rest.find('.'));
  // As torch writes it, so that no two paths are the same cell.
  if (number.size() > 4 || !absl::SimpleAtoi(number, &path.cell) ||
      absl::StrCat(path.cell) != number) {
    return std::nullopt;
  }
  rest.remove_prefix(number.size());
  if (!absl::ConsumePrefix(&rest, ".param.")) return std::nullopt;
  path.place = rest;
  return path;
}

// An LSTM or a GRU, as the shapes of its weights tell.
struct Recurrent {
  std::map<size_t, int64_t> inputs;  // of each cell
  std::optional<int64_t> hidden;
  bool is_sound = true;
  // Found when all have been added; 0 if the shapes make no sense.
  std::optional<size_t> directions;

  void Add(const CellPath& path, const Shape& shape) {
    const bool is_input = path.place == "4.0.0";
    if (!is_input && path.place != "4.1.0") return;
    if (shape.size() != 2) {
      is_sound = false;
    } else if (is_input) {
      inputs[path.cell] = shape[1];
    } else {
      is_sound &= hidden.value_or(shape[1]) == shape[1];
      hidden = shape[1];
    }
  }

  // Whether all layers but the first have the outputs of `count` directions for
  // input.
  bool FitsDirections(size_t count) const {
    if (!is_sound || !hidden.has_value() || inputs.empty() ||
        inputs.rbegin()->first != inputs.size() - 1 ||
        inputs.size() % count != 0) {
      return false;
    }
    const int64_t first = inputs.begin()->second;
    return std::all_of(inputs.begin(), inputs.end(), [&](const auto& cell) {
      const auto& [number, input] = cell;
      if (number < count) return input == first;
      // Divided, since a product could overflow.
      const auto divisor = static_cast<int64_t>(count);
      return input % divisor == 0 && input / divisor == *hidden;
    });
  }
};

// "weight_hh_l0_reverse"; empty for what is no weight and no bias.
std::string ParameterOf(const CellPath& path, size_t directions) {
  absl::string_view front;
  if (path.place == "4.0.0") front = "weight_ih_l";
  if (path.place == "4.0.1") front = "bias_ih_l";
  if (path.place == "4.1.0") front = "weight_hh_l";
  if (path.place == "4.1.1") front = "bias_hh_l";
  if (front.empty() || directions == 0) return "";
  return absl::StrCat(front, path.cell / directions,
                      path.cell % directions == 1 ? "_reverse" : "");
}

// ------------------------------------------------------------ activations --

// The zero point that belongs to a scale of activations; empty for other names.
std::string ZeroPointOf(absl::string_view name) {
  absl::string_view front = name;
  if (ConsumeParts(&front, "scale")) return absl::StrCat(front, "zero_point");
  while (!front.empty() && absl::ascii_isdigit(front.back())) {
    front.remove_suffix(1);
  }
  const absl::string_view number = name.substr(front.size());
  if (number.empty() || !absl::ConsumeSuffix(&front, "_scale_")) return "";
  return absl::StrCat(front, "_zero_point_", number);
}

bool IsOneNumber(const TorchTensor& tensor) {
  return tensor.quantizer == nullptr &&
         (tensor.size.empty() || tensor.size == Shape{1});
}

// ---------------------------------------------------------------- renaming --

class Renamer {
 public:
  explicit Renamer(StateDict* state_dict)
      : state_dict_(*state_dict), left_out_(state_dict->tensors.size(), false) {
    for (size_t i = 0; i < tensors().size(); ++i) {
      paths_.push_back(tensors()[i].name);
      taken_.insert(tensors()[i].name);
    }
    for (size_t i = 0; i < paths_.size(); ++i) by_path_[paths_[i]] = i;
  }

  void Run();

 private:
  std::vector<NamedTensor>& tensors() { return state_dict_.tensors; }

  void FindRecurrent();
  bool Rename(size_t tensor, std::string name, absl::string_view module_kind);
  bool NamePart(size_t tensor);
  bool NameCellPart(size_t tensor, const CellPath& path);
  bool FindConvolution(size_t tensor);
  // The zero point of the scale of activations that `tensor` is.
  std::optional<size_t> FindZeroPoint(size_t tensor);
  void LeaveOutActivations();

  StateDict& state_dict_;
  // The names that tensors had.
  std::vector<std::string> paths_;
  absl::flat_hash_map<absl::string_view, size_t> by_path_;
  absl::flat_hash_set<std::string> taken_;
  absl::flat_hash_map<absl::string_view, Recurrent> recurrent_;
  Marks left_out_;
};

void Renamer::FindRecurrent() {
  for (size_t i = 0; i < paths_.size(); ++i) {
    const std::optional<CellPath> path = ParseCellPath(paths_[i]);
    if (!path.has_value()) continue;
    recurrent_[path->module].Add(*path, tensors()[i].tensor.size);
  }
  NameList unclear;
  for (const std::string& path : paths_) {
    const std::optional<CellPath> cell = ParseCellPath(path);
    if (!cell.has_value()) continue;
    Recurrent& module = recurrent_[cell->module];
    if (module.directions.has_value()) continue;
    const bool fits_two = module.FitsDirections(2);
    module.directions = module.FitsDirections(1) ? 1 : fits_two ? 2 : 0;
    if (module.directions == 1 && fits_two) {
      unclear.Add(absl::StripSuffix(cell->module, "."));
    }
  }
  if (unclear.empty()) return;
  state_dict_.notes.push_back(
      absl::StrCat("two layers or two directions, which the weights do not "
                   "tell; read as layers: ",
                   unclear.ToString()));
}

bool Renamer::Rename(size_t tensor, std::string name,
                     absl::string_view module_kind) {
  if (!taken_.insert(name).second) return false;
  NamedTensor& named = tensors()[tensor];
  named.name = std::move(name);
  // In place of that of what it is packed in.
  named.module_kind = std::string(module_kind);
  return true;
}

bool Renamer::NameCellPart(size_t tensor, const CellPath& path) {
  const size_t directions = recurrent_[path.module].directions.value_or(0);
  const std::string parameter = ParameterOf(path, directions);
  if (!parameter.empty()) {
    return Rename(tensor, absl::StrCat(path.module, parameter), "");
  }
  // torch computes with the bias that is packed with the weight.
  if (directions == 0 || (path.place != "1.0" && path.place != "1.1")) {
    return false;
  }
  left_out_[tensor] = by_path_.contains(
      absl::StrCat(path.module, "_all_weight_values.", path.cell, ".param.4.",
                   path.place.substr(2), ".1"));
  return left_out_[tensor];
}

// Whether it is one of a quantized module, and no convolution.
bool Renamer::NamePart(size_t tensor) {
  const std::string& path = paths_[tensor];
  if (const auto cell = ParseCellPath(path)) return NameCellPart(tensor, *cell);
  for (const PathRow& row : kPaths) {
    absl::string_view module = path;
    if (!ConsumeParts(&module, row.path)) continue;
    return Rename(tensor, absl::StrCat(module, row.parameter), row.module_kind);
  }
  return false;
}

std::optional<size_t> Renamer::FindZeroPoint(size_t tensor) {
  const std::string name = ZeroPointOf(paths_[tensor]);
  const auto found = name.empty() ? by_path_.end() : by_path_.find(name);
  if (found == by_path_.end()) return std::nullopt;
  const TorchTensor& scale = tensors()[tensor].tensor;
  const TorchTensor& zero_point = tensors()[found->second].tensor;
  // Of a batch norm's, zero points have 32 bits.
  const bool fits =
      IsOneNumber(scale) && scale.dtype == DType::kF32 &&
      IsOneNumber(zero_point) &&
      (zero_point.dtype == DType::kI64 || zero_point.dtype == DType::kI32);
  return fits ? std::make_optional(found->second) : std::nullopt;
}

bool Renamer::FindConvolution(size_t tensor) {
  absl::string_view module = paths_[tensor];
  if (tensors()[tensor].tensor.quantizer == nullptr ||
      !ConsumeParts(&module, "weight")) {
    return false;
  }
  const auto scale = by_path_.find(absl::StrCat(module, "scale"));
  return scale != by_path_.end() && FindZeroPoint(scale->second).has_value();
}

void Renamer::LeaveOutActivations() {
  NameList names;
  for (size_t i = 0; i < paths_.size(); ++i) {
    const std::optional<size_t> zero_point = FindZeroPoint(i);
    if (!zero_point.has_value()) continue;
    for (const size_t tensor : {i, *zero_point}) {
      left_out_[tensor] = true;
      names.Add(paths_[tensor]);
    }
  }
  if (names.empty()) return;
  state_dict_.notes.push_back(absl::StrCat(
      "scales and zero points of activations in quantized modules are left "
      "out: ",
      names.ToString()));
}

void Renamer::Run() {
  FindRecurrent();
  bool found = false;
  for (size_t i = 0; i < paths_.size(); ++i) {
    const bool is_convolution = FindConvolution(i);
    if (!is_convolution && !NamePart(i)) continue;
    found = true;
    const TorchTensor& tensor = tensors()[i].tensor;
    tensors()[i].is_module_weight =
        tensor.quantizer != nullptr && !left_out_[i];
  }
  if (!found) return;
  LeaveOutActivations();
  size_t kept = 0;
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (left_out_[i]) continue;
    if (kept != i) tensors()[kept] = std::move(tensors()[i]);
    ++kept;
  }
  tensors().resize(kept);
}

}  // namespace

void NameQuantizedModules(StateDict* state_dict) { Renamer(state_dict).Run(); }

}  // namespace monoquant
