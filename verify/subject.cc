#include "verify/subject.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "core/default_policy.h"

namespace monoquant {
namespace {

constexpr absl::string_view kWeight = ".weight";

}  // namespace

absl::string_view ModuleOfWeight(absl::string_view weight) {
  return absl::StripSuffix(weight, kWeight);
}

bool IsLinearWeight(const TensorInfo& tensor) {
  return tensor.shape.size() == 2 && absl::EndsWith(tensor.name, kWeight) &&
         DefaultPolicy(tensor, /*min_elements=*/0).quantize;
}

const Json* EntryOf(const Json* json, absl::string_view key) {
  const Json* entry = json == nullptr ? nullptr : json->Find(key);
  return entry == nullptr || entry->is_null() ? nullptr : entry;
}

const std::string* TextOf(const Json* json, absl::string_view key) {
  const Json* entry = EntryOf(json, key);
  return entry == nullptr ? nullptr : entry->AsString();
}

const int64_t* IntegerOf(const Json* json, absl::string_view key) {
  const Json* entry = EntryOf(json, key);
  return entry == nullptr ? nullptr : entry->AsInt();
}

const bool* FlagOf(const Json* json, absl::string_view key) {
  const Json* entry = EntryOf(json, key);
  return entry == nullptr ? nullptr : entry->AsBool();
}

}  // namespace monoquant
