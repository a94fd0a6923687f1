// The short form of schemes, as flags and rules have it: "int4,group=64".

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/recipe.h"
#include "ir/errors.h"
#include "ir/quant_scheme.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// One option: "KEY" or "KEY=VALUE".
struct Option {
  absl::string_view key;
  std::optional<absl::string_view> value;
};

Option SplitOption(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos) return {text, std::nullopt};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

// What an option is about: two options about the same thing contradict or
// repeat each other.
absl::string_view Topic(absl::string_view key) {
  if (key == "tensor" || key == "axis" || key == "group" || key == "block") {
    return "granularity";
  }
  if (key == "symmetric" || key == "asymmetric") return "symmetry";
  return key;
}

// The number after "axis=", "group=" or "block=", or `absent`.
absl::StatusOr<int64_t> NumberOf(const Option& option, int64_t absent,
                                 int64_t min) {
  if (!option.value.has_value()) return absent;
  int64_t number;
  if (!absl::SimpleAtoi(*option.value, &number) || number < min ||
      number > INT32_MAX) {
    return InvalidArgumentError(
        QuotedName(absl::StrCat(option.key, "=", *option.value)),
        " is not a whole number from ", min, " up; write for example '",
        option.key, "=", option.key == "axis" ? 0 : 128, "'");
  }
  return number;
}

absl::Status Apply(const Option& option, SchemeSpec* spec) {
  if (option.key == "axis") {
    MQ_ASSIGN_OR_RETURN(const int64_t axis, NumberOf(option, 0, 0));
    spec->granularity = Granularity::kAxis;
    if (option.value.has_value()) spec->axis = static_cast<int>(axis);
    return absl::OkStatus();
  }
  if (option.key == "group" || option.key == "block") {
    spec->granularity =
        option.key == "group" ? Granularity::kGroup : Granularity::kBlock;
    MQ_ASSIGN_OR_RETURN(spec->group_size, NumberOf(option, 0, 1));
    return absl::OkStatus();
  }
  if (!option.value.has_value()) {
    if (option.key == "tensor") {
      spec->granularity = Granularity::kTensor;
      return absl::OkStatus();
    }
    if (option.key == "symmetric" || option.key == "asymmetric") {
      spec->symmetric = option.key == "symmetric";
      return absl::OkStatus();
    }
    if (option.key == "double_quant") {
      spec->double_quant = true;
      return absl::OkStatus();
    }
  } else if (option.key == "convention") {
    const std::optional<Convention> found = ConventionFromName(*option.value);
    if (!found.has_value()) {
      return InvalidArgumentError("there is no convention ",
                                  QuotedName(*option.value),
                                  "; use torch or compressed-tensors");
    }
    spec->convention = *found;
    return absl::OkStatus();
  } else if (option.key == "scale_dtype") {
    const std::optional<DType> found = ScaleDTypeFromName(*option.value);
    if (!found.has_value()) {
      return InvalidArgumentError("scales cannot be ",
                                  QuotedName(*option.value),
                                  "; use f32, f16, bf16, e8m0 or e4m3");
    }
    spec->scale_dtype = *found;
    return absl::OkStatus();
  } else if (option.key == "observer") {
    spec->observer = std::string(*option.value);
    return absl::OkStatus();
  } else if (option.key == "algorithm") {
    spec->algorithm = std::string(*option.value);
    return absl::OkStatus();
  }
  return InvalidArgumentError(
      QuotedName(absl::StrCat(option.key, option.value.has_value() ? "=" : "",
                              option.value.value_or(""))),
      " is no option; use tensor, axis=N, group=N, block=N, symmetric, "
      "asymmetric, convention=NAME, scale_dtype=NAME, double_quant, "
      "observer=NAME or algorithm=NAME");
}

absl::StatusOr<std::optional<SchemeSpec>> Parse(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ',');
  if (parts[0] == "skip") {
    if (parts.size() > 1) {
      return InvalidArgumentError("'skip' takes no options");
    }
    return std::nullopt;
  }
  const std::optional<SchemeSpec> named = SchemeSpecFromName(parts[0]);
  if (!named.has_value()) {
    return InvalidArgumentError(QuotedName(parts[0]),
                                " is no number format; use one of ",
                                SchemeSpecNames(), ", or skip");
  }
  SchemeSpec spec = *named;
  std::vector<absl::string_view> topics;
  if (IsWholeScheme(parts[0])) topics = {"granularity", "scale_dtype"};
  for (size_t i = 1; i < parts.size(); ++i) {
    const Option option = SplitOption(parts[i]);
    MQ_RETURN_IF_ERROR(Apply(option, &spec));
    if (!HasScales(spec.format)) {
      return InvalidArgumentError(QuotedName(parts[i]), " means nothing for ",
                                  parts[0],
                                  ", which is a plain cast; leave it out");
    }
    if (option.key == "convention") {
      MQ_RETURN_IF_ERROR(CheckConvention(spec.format, spec.convention));
    }
    const absl::string_view topic = Topic(option.key);
    if (std::find(topics.begin(), topics.end(), topic) != topics.end()) {
      return InvalidArgumentError(QuotedName(parts[i]), " states the ", topic,
                                  " a second time; leave one out");
    }
    topics.push_back(topic);
  }
  MQ_RETURN_IF_ERROR(ValidateSchemeSpec(spec));
  return spec;
}

}  // namespace

absl::StatusOr<std::optional<SchemeSpec>> ParseSchemeSpec(
    absl::string_view text) {
  absl::StatusOr<std::optional<SchemeSpec>> spec = Parse(text);
  if (!spec.ok()) {
    return Annotate(absl::StrCat("scheme ", QuotedName(text)), spec.status());
  }
  return spec;
}

}  // namespace monoquant
