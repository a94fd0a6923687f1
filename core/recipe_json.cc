// The JSON form of recipes (docs/recipe.md, docs/schemas/recipe.json).

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/layer_kind.h"
#include "core/recipe.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::Status Wrong(absl::string_view key, absl::string_view expected,
                   const Json& found) {
  return InvalidArgumentError("\"", key, "\" must be ", expected, ", found ",
                              JsonExcerpt(found));
}

// Checks that `json` is an object with no members but `keys`.
absl::Status CheckMembers(const Json& json,
                          std::initializer_list<absl::string_view> keys) {
  if (!json.is_object()) {
    return InvalidArgumentError("must be an object, found ", JsonExcerpt(json));
  }
  for (const Json::Member& member : *json.AsObject()) {
    bool known = false;
    for (absl::string_view key : keys) known = known || member.first == key;
    if (!known) {
      return InvalidArgumentError(
          "there is no member ", JsonExcerpt(member.first),
          "; the members are ", absl::StrJoin(keys, ", "));
    }
  }
  return absl::OkStatus();
}

// The readers leave `*value` alone where the member is absent.

absl::Status ReadBool(const Json& json, absl::string_view key, bool* value) {
  const Json* member = json.Find(key);
  if (member == nullptr) return absl::OkStatus();
  if (member->AsBool() == nullptr) return Wrong(key, "true or false", *member);
  *value = *member->AsBool();
  return absl::OkStatus();
}

absl::Status ReadInt(const Json& json, absl::string_view key, int64_t max,
                     int64_t* value) {
  const Json* member = json.Find(key);
  if (member == nullptr) return absl::OkStatus();
  const int64_t* number = member->AsInt();
  if (number == nullptr || *number < 0 || *number > max) {
    return Wrong(key, "a whole number from 0 up", *member);
  }
  *value = *number;
  return absl::OkStatus();
}

absl::Status ReadString(const Json& json, absl::string_view key,
                        std::string* value) {
  const Json* member = json.Find(key);
  if (member == nullptr) return absl::OkStatus();
  if (member->AsString() == nullptr) return Wrong(key, "a string", *member);
  *value = *member->AsString();
  return absl::OkStatus();
}

// `from_name` maps a name to an optional<Value>.
template <typename Value, typename FromName>
absl::Status ReadName(const Json& json, absl::string_view key,
                      absl::string_view names, FromName from_name,
                      Value* value) {
  const Json* member = json.Find(key);
  if (member == nullptr) return absl::OkStatus();
  const std::string* name = member->AsString();
  if (name == nullptr || !from_name(*name).has_value()) {
    return Wrong(key, absl::StrCat("one of ", names), *member);
  }
  *value = *from_name(*name);
  return absl::OkStatus();
}

Json SpecToJson(const SchemeSpec& spec) {
  Json json;
  json.Set("format", NumberFormatName(spec.format));
  if (!HasScales(spec.format)) return json;
  if (spec.granularity.has_value()) {
    json.Set("granularity", GranularityName(*spec.granularity));
    if (*spec.granularity == Granularity::kAxis && spec.axis.has_value()) {
      json.Set("axis", *spec.axis);
    }
    if (HasGroupSize(*spec.granularity) && spec.group_size != 0) {
      json.Set("group_size", spec.group_size);
    }
  }
  if (HasZeroPoints(spec.format)) {
    json.Set("symmetric", spec.symmetric);
    json.Set("convention", ConventionName(spec.convention));
  }
  if (spec.scale_dtype.has_value()) {
    json.Set("scale_dtype", DTypeName(*spec.scale_dtype));
  }
  if (spec.double_quant) json.Set("double_quant", true);
  json.Set("observer", spec.observer);
  json.Set("algorithm", spec.algorithm);
  return json;
}

absl::StatusOr<SchemeSpec> SpecFromObject(const Json& json) {
  MQ_RETURN_IF_ERROR(CheckMembers(
      json,
      {"format", "granularity", "axis", "group_size", "symmetric", "convention",
       "scale_dtype", "double_quant", "observer", "algorithm"}));
  SchemeSpec spec;
  if (json.Find("format") == nullptr) {
    return InvalidArgumentError("\"format\" is missing");
  }
  MQ_RETURN_IF_ERROR(
      ReadName(json, "format", SchemeSpecNames(), SchemeSpecFromName, &spec));
  if (IsWholeScheme(*json.Find("format")->AsString())) {
    for (absl::string_view key :
         {"granularity", "axis", "group_size", "scale_dtype"}) {
      if (json.Find(key) == nullptr) continue;
      return InvalidArgumentError("\"", key, "\" is part of ",
                                  *json.Find("format")->AsString(),
                                  " already; leave it out");
    }
  }
  if (!HasScales(spec.format) && json.AsObject()->size() > 1) {
    return InvalidArgumentError(NumberFormatName(spec.format),
                                " is a plain cast and has no other members");
  }
  MQ_RETURN_IF_ERROR(ReadName(json, "granularity", "tensor, axis, group, block",
                              GranularityFromName, &spec.granularity));
  int64_t axis = 0;
  MQ_RETURN_IF_ERROR(ReadInt(json, "axis", INT32_MAX, &axis));
  if (json.Find("axis") != nullptr) spec.axis = static_cast<int>(axis);
  MQ_RETURN_IF_ERROR(ReadInt(json, "group_size", INT64_MAX, &spec.group_size));
  if (json.Find("axis") != nullptr && spec.granularity != Granularity::kAxis) {
    return InvalidArgumentError("\"axis\" needs \"granularity\": \"axis\"");
  }
  if (json.Find("group_size") != nullptr &&
      !(spec.granularity.has_value() && HasGroupSize(*spec.granularity))) {
    return InvalidArgumentError(
        "\"group_size\" needs \"granularity\": \"group\" or \"block\"");
  }
  MQ_RETURN_IF_ERROR(ReadBool(json, "symmetric", &spec.symmetric));
  MQ_RETURN_IF_ERROR(ReadName(json, "convention", "torch, compressed-tensors",
                              ConventionFromName, &spec.convention));
  if (json.Find("convention") != nullptr) {
    MQ_RETURN_IF_ERROR(CheckConvention(spec.format, spec.convention));
  }
  MQ_RETURN_IF_ERROR(ReadName(json, "scale_dtype",
                              "F32, F16, BF16, F8_E8M0, F8_E4M3",
                              ScaleDTypeFromName, &spec.scale_dtype));
  MQ_RETURN_IF_ERROR(ReadBool(json, "double_quant", &spec.double_quant));
  MQ_RETURN_IF_ERROR(ReadString(json, "observer", &spec.observer));
  MQ_RETURN_IF_ERROR(ReadString(json, "algorithm", &spec.algorithm));
  MQ_RETURN_IF_ERROR(ValidateSchemeSpec(spec));
  return spec;
}

// A scheme is an object, or a string as ParseSchemeSpec reads it.
absl::StatusOr<std::optional<SchemeSpec>> SpecFromJson(const Json& json) {
  if (const std::string* text = json.AsString()) return ParseSchemeSpec(*text);
  absl::StatusOr<SchemeSpec> spec = SpecFromObject(json);
  if (!spec.ok()) return Annotate("scheme", spec.status());
  return *std::move(spec);
}

absl::StatusOr<Rule> RuleFromJson(const Json& json) {
  MQ_RETURN_IF_ERROR(CheckMembers(json, {"match", "scheme"}));
  Rule rule;
  MQ_RETURN_IF_ERROR(ReadString(json, "match", &rule.match));
  const Json* scheme = json.Find("scheme");
  if (rule.match.empty() || scheme == nullptr) {
    return InvalidArgumentError(
        "needs a \"match\" that is not empty and a \"scheme\"");
  }
  MQ_ASSIGN_OR_RETURN(rule.spec, SpecFromJson(*scheme));
  return rule;
}

absl::Status ReadLayerTypes(const Json& json, std::vector<LayerKind>* kinds) {
  const Json* types = json.Find("layer_types");
  if (types == nullptr) return absl::OkStatus();
  if (!types->is_array()) return Wrong("layer_types", "an array", *types);
  for (const Json& type : *types->AsArray()) {
    if (type.AsString() == nullptr) {
      return Wrong("layer_types", "an array of strings", *types);
    }
    MQ_ASSIGN_OR_RETURN(const LayerKind kind, ParseLayerKind(*type.AsString()));
    kinds->push_back(kind);
  }
  return absl::OkStatus();
}

absl::StatusOr<Recipe> Parse(const Json& json) {
  MQ_RETURN_IF_ERROR(
      CheckMembers(json, {"defaults", "rules", "only_rules", "min_elements",
                          "layer_types", "nonfinite", "allow_unmatched"}));
  Recipe recipe;
  if (const Json* defaults = json.Find("defaults")) {
    absl::StatusOr<std::optional<SchemeSpec>> spec = SpecFromJson(*defaults);
    if (!spec.ok()) return Annotate("defaults", spec.status());
    if (!spec->has_value()) {
      return InvalidArgumentError(
          "defaults: cannot be skip; use \"only_rules\": true");
    }
    recipe.defaults = **spec;
  }
  if (const Json* rules = json.Find("rules")) {
    if (!rules->is_array()) return Wrong("rules", "an array", *rules);
    for (const Json& element : *rules->AsArray()) {
      absl::StatusOr<Rule> rule = RuleFromJson(element);
      if (!rule.ok()) {
        return Annotate(absl::StrCat("rules[", recipe.rules.size(), "]"),
                        rule.status());
      }
      recipe.rules.push_back(*std::move(rule));
    }
  }
  MQ_RETURN_IF_ERROR(ReadBool(json, "only_rules", &recipe.only_rules));
  MQ_RETURN_IF_ERROR(
      ReadInt(json, "min_elements", INT64_MAX, &recipe.min_elements));
  MQ_RETURN_IF_ERROR(ReadLayerTypes(json, &recipe.layer_types));
  MQ_RETURN_IF_ERROR(ReadName(json, "nonfinite", "error, keep, zero",
                              NonfiniteFromName, &recipe.nonfinite));
  MQ_RETURN_IF_ERROR(
      ReadBool(json, "allow_unmatched", &recipe.allow_unmatched));
  return recipe;
}

}  // namespace

Json RecipeToJson(const Recipe& recipe) {
  Json json;
  json.Set("defaults", SpecToJson(recipe.defaults));
  Json::Array rules;
  for (const Rule& rule : recipe.rules) {
    Json element;
    element.Set("match", rule.match);
    element.Set("scheme",
                rule.spec.has_value() ? SpecToJson(*rule.spec) : Json("skip"));
    rules.push_back(std::move(element));
  }
  json.Set("rules", Json(std::move(rules)));
  json.Set("only_rules", recipe.only_rules);
  json.Set("min_elements", recipe.min_elements);
  if (!recipe.layer_types.empty()) {
    Json::Array types;
    for (const LayerKind kind : recipe.layer_types) {
      types.push_back(Json(LayerKindName(kind)));
    }
    json.Set("layer_types", Json(std::move(types)));
  }
  json.Set("nonfinite", NonfiniteName(recipe.nonfinite));
  json.Set("allow_unmatched", recipe.allow_unmatched);
  return json;
}

absl::StatusOr<Recipe> RecipeFromJson(const Json& json) {
  absl::StatusOr<Recipe> recipe = Parse(json);
  if (!recipe.ok()) return Annotate("recipe", recipe.status());
  return recipe;
}

}  // namespace monoquant
