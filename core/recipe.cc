#include "core/recipe.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "core/registry.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kNonfiniteNames[] = {"error", "keep", "zero"};

// The byte after the character that begins at `i`.
size_t NextCharacter(absl::string_view text, size_t i) {
  ++i;
  while (i < text.size() && (static_cast<uint8_t>(text[i]) & 0xc0) == 0x80) {
    ++i;
  }
  return i;
}

}  // namespace

absl::StatusOr<Rule> ParseRule(absl::string_view text) {
  const size_t equals = text.find('=');
  if (equals == absl::string_view::npos || equals == 0) {
    return InvalidArgumentError(
        "rule ", QuotedName(text),
        " is not of the form GLOB=SCHEME; write for example "
        "'*.attn.*=int8' or 'lm_head.weight=skip'");
  }
  Rule rule;
  rule.match = std::string(text.substr(0, equals));
  absl::StatusOr<std::optional<SchemeSpec>> spec =
      ParseSchemeSpec(text.substr(equals + 1));
  if (!spec.ok()) {
    return Annotate(absl::StrCat("rule ", QuotedName(rule.match)),
                    spec.status());
  }
  rule.spec = *std::move(spec);
  return rule;
}

bool GlobMatch(absl::string_view glob, absl::string_view name) {
  size_t g = 0;
  size_t n = 0;
  // Where to go back to if what follows the last star does not match: the star
  // takes one character more. Earlier stars never need a second try.
  size_t after_star = absl::string_view::npos;
  size_t star_end = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      after_star = ++g;
      star_end = n;
    } else if (g < glob.size() && glob[g] == '?') {
      ++g;
      n = NextCharacter(name, n);
    } else if (g < glob.size() && glob[g] == name[n]) {
      ++g;
      ++n;
    } else if (after_star != absl::string_view::npos) {
      g = after_star;
      star_end = NextCharacter(name, star_end);
      n = star_end;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::optional<SchemeSpec> SchemeSpecFromName(absl::string_view name) {
  SchemeSpec spec;
  if (const auto format = NumberFormatFromName(name)) {
    spec.format = *format;
    return spec;
  }
  for (const NamedScheme& named : NamedSchemes()) {
    if (named.name != name) continue;
    spec.format = named.scheme.format;
    // The size of groups follows from the type of scales, and what has rows
    // that it does not divide is no error.
    spec.granularity = named.scheme.granularity;
    spec.scale_dtype = named.scheme.scale_dtype;
    return spec;
  }
  return std::nullopt;
}

std::string SchemeSpecNames() {
  std::string names = DefaultRegistry().FormatNames();
  for (const NamedScheme& named : NamedSchemes()) {
    absl::StrAppend(&names, ", ", named.name);
  }
  return names;
}

bool IsWholeScheme(absl::string_view name) {
  return SchemeSpecFromName(name).has_value() &&
         !NumberFormatFromName(name).has_value();
}

absl::Status ValidateSchemeSpec(const SchemeSpec& spec) {
  if (!HasScales(spec.format)) return absl::OkStatus();
  if (!HasZeroPoints(spec.format) && !spec.symmetric) {
    return InvalidArgumentError(
        NumberFormatName(spec.format),
        " has no zero points and cannot be asymmetric; use "
        "symmetric, or an integer format");
  }
  if (spec.scale_dtype.has_value() &&
      !ScalesCanBe(spec.format, *spec.scale_dtype)) {
    return InvalidArgumentError("scales of ", NumberFormatName(spec.format),
                                " cannot be ", DTypeName(*spec.scale_dtype),
                                "; use ", ScaleDTypeNames(spec.format));
  }
  if (spec.scale_dtype == DType::kF8E4M3 &&
      (spec.granularity.value_or(Granularity::kGroup) != Granularity::kGroup ||
       spec.group_size > kLargestGlobalGroup)) {
    return InvalidArgumentError("scales of F8_E4M3 are of groups of at most ",
                                kLargestGlobalGroup,
                                "; use groups of 16 (nvfp4)");
  }
  if (spec.double_quant && !IsCodebook(spec.format)) {
    return InvalidArgumentError(
        "double_quant is for nf4 and fp4, whose scales "
        "bitsandbytes can quantize, and not for ",
        NumberFormatName(spec.format), "; leave it out");
  }
  if (HasRowScales(spec.format) &&
      (spec.granularity.value_or(Granularity::kAxis) != Granularity::kAxis ||
       spec.axis.value_or(0) != 0)) {
    return InvalidArgumentError(
        NumberFormatName(spec.format),
        " has a scale for each index of axis 0 and no other; "
        "leave the granularity out, or use int8");
  }
  if (spec.axis.has_value() && (*spec.axis < 0 || *spec.axis >= kMaxDims)) {
    return InvalidArgumentError("axis ", *spec.axis,
                                " is out of range; use 0 to ", kMaxDims - 1);
  }
  if (spec.group_size < 0) {
    return InvalidArgumentError("group size ", spec.group_size,
                                " is negative; use for example 128, 64 or 32");
  }
  const Registry registry = DefaultRegistry();
  if (registry.FindObserver(spec.observer) == nullptr) {
    return InvalidArgumentError("there is no observer ",
                                QuotedName(spec.observer), "; use one of ",
                                registry.ObserverNames());
  }
  if (registry.FindAlgorithm(spec.algorithm) == nullptr) {
    return InvalidArgumentError("there is no algorithm ",
                                QuotedName(spec.algorithm), "; use one of ",
                                registry.AlgorithmNames());
  }
  return absl::OkStatus();
}

absl::Status CheckConvention(NumberFormat format, Convention stated) {
  if (HasZeroPoints(format)) return absl::OkStatus();
  const bool is_bitsandbytes = IsOfBitsandbytes(format);
  if (!is_bitsandbytes && stated == Convention::kCompressedTensors) {
    return absl::OkStatus();
  }
  return InvalidArgumentError(
      "there is no convention ", ConventionName(stated), " for ",
      NumberFormatName(format), ", which always ",
      is_bitsandbytes ? "does what bitsandbytes does"
                      : "divides as compressed-tensors does",
      "; leave it out");
}

absl::Status ValidateRecipe(const Recipe& recipe) {
  MQ_RETURN_IF_ERROR(Annotate("defaults", ValidateSchemeSpec(recipe.defaults)));
  for (const Rule& rule : recipe.rules) {
    if (rule.match.empty()) {
      return InvalidArgumentError(
          "a rule has an empty pattern; use '*' to match every tensor");
    }
    if (!rule.spec.has_value()) continue;
    MQ_RETURN_IF_ERROR(Annotate(absl::StrCat("rule ", QuotedName(rule.match)),
                                ValidateSchemeSpec(*rule.spec)));
  }
  if (recipe.min_elements < 0) {
    return InvalidArgumentError("min_elements ", recipe.min_elements,
                                " is negative; use 0 or more");
  }
  return absl::OkStatus();
}

absl::string_view NonfiniteName(Nonfinite nonfinite) {
  return kNonfiniteNames[static_cast<size_t>(nonfinite)];
}

std::optional<Nonfinite> NonfiniteFromName(absl::string_view name) {
  const auto* found =
      std::find(std::begin(kNonfiniteNames), std::end(kNonfiniteNames), name);
  if (found == std::end(kNonfiniteNames)) return std::nullopt;
  return static_cast<Nonfinite>(found - std::begin(kNonfiniteNames));
}

}  // namespace monoquant
