#include "wasm/json_members.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/errors.h"

namespace monoquant {

JsonMembers::JsonMembers(const Json& json, absl::string_view what)
    : json_(json), what_(what) {
  if (!json.is_object()) {
    status_ = InvalidArgumentError(what, " has to be a JSON object");
  }
}

void JsonMembers::Fail(absl::string_view key, absl::string_view expected) {
  if (!status_.ok()) return;
  status_ =
      InvalidArgumentError("\"", key, "\" of ", what_, " has to be ", expected);
}

const Json* JsonMembers::Find(absl::string_view key) {
  known_.push_back(key);
  return json_.Find(key);
}

bool JsonMembers::Bool(absl::string_view key, bool otherwise) {
  const Json* value = Find(key);
  if (value == nullptr) return otherwise;
  const bool* flag = value->AsBool();
  if (flag != nullptr) return *flag;
  Fail(key, "true or false");
  return otherwise;
}

std::string JsonMembers::String(absl::string_view key,
                                absl::string_view otherwise) {
  const Json* member = Find(key);
  if (member == nullptr) return std::string(otherwise);
  if (const std::string* text = member->AsString()) return *text;
  Fail(key, "a text");
  return std::string(otherwise);
}

uint64_t JsonMembers::Uint(absl::string_view key, uint64_t max) {
  return ToUint(Find(key), key, max);
}

uint64_t JsonMembers::Uint(absl::string_view key, uint64_t max,
                           uint64_t otherwise) {
  const Json* member = Find(key);
  return member == nullptr ? otherwise : ToUint(member, key, max);
}

uint64_t JsonMembers::ToUint(const Json* member, absl::string_view key,
                             uint64_t max) {
  const int64_t* value = member == nullptr ? nullptr : member->AsInt();
  if (value != nullptr && *value >= 0 && static_cast<uint64_t>(*value) <= max) {
    return static_cast<uint64_t>(*value);
  }
  Fail(key, absl::StrCat("a number from 0 to ", max));
  return 0;
}

absl::Status JsonMembers::Finish() {
  if (!status_.ok()) return status_;
  for (const auto& [key, value] : *json_.AsObject()) {
    if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
      return InvalidArgumentError("\"", key, "\" of ", what_,
                                  " is unknown; expected one of ",
                                  absl::StrJoin(known_, ", "));
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
