#include "ir/torchao_metadata.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace monoquant {

std::string TorchaoPartsOf(absl::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == absl::string_view::npos) return "";
  return absl::StrCat(name.substr(0, dot), "._", name.substr(dot + 1), "_");
}

const std::string* TorchaoClassOf(const Json& description) {
  const Json* type = description.Find("_type");
  return type == nullptr ? nullptr : type->AsString();
}

std::vector<absl::string_view> TorchaoPartsListed(const Json& description) {
  std::vector<absl::string_view> parts;
  const Json* names = description.Find("_tensor_data_names");
  if (names == nullptr || !names->is_array()) return parts;
  for (const Json& name : *names->AsArray()) {
    if (name.AsString() != nullptr) parts.push_back(*name.AsString());
  }
  return parts;
}

bool TorchaoNames::Add(absl::string_view text) {
  const absl::StatusOr<Json> list = ParseJson(text);
  if (!list.ok() || !list->is_array()) return false;
  const Json::Array& names = *list->AsArray();
  if (!std::all_of(names.begin(), names.end(), [](const Json& name) {
        return name.AsString() != nullptr;
      })) {
    return false;
  }
  for (const Json& name : names) {
    if (added_.insert(*name.AsString()).second) names_.push_back(name);
  }
  return true;
}

std::string TorchaoNames::ToString() const { return Json(names_).ToString(); }

}  // namespace monoquant
