#include "cli/flag_values.h"

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "cli/human.h"
#include "cli/suggest.h"
#include "core/kernels/kernels.h"
#include "ir/errors.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

absl::Status BadValue(absl::string_view flag, absl::string_view text,
                      absl::string_view remedy) {
  return InvalidArgumentError(flag, " ", text.empty() ? "''" : text, ": ",
                              remedy);
}

// "a, b or c".
std::string Alternatives(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += names[i];
  }
  return text;
}

template <typename Value>
using Choices = std::vector<std::pair<std::string, Value>>;

template <typename Value>
absl::StatusOr<Value> ParseChoice(absl::string_view flag,
                                  absl::string_view text,
                                  const Choices<Value>& choices) {
  std::vector<std::string> names;
  for (const auto& [name, value] : choices) {
    if (absl::EqualsIgnoreCase(name, text)) return value;
    names.push_back(name);
  }
  std::string remedy = absl::StrCat("use ", Alternatives(names));
  if (const auto name = Suggest(absl::AsciiStrToLower(text), names)) {
    absl::StrAppend(&remedy, "; did you mean ", *name, "?");
  }
  return BadValue(flag, text, remedy);
}

}  // namespace

absl::StatusOr<int64_t> ParseInteger(absl::string_view flag,
                                     absl::string_view text, int64_t min,
                                     int64_t max) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < min || value > max) {
    return BadValue(flag, text,
                    absl::StrCat("use a whole number from ", min, " to ", max));
  }
  return value;
}

absl::StatusOr<double> ParseNumber(absl::string_view flag,
                                   absl::string_view text) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) {
    return BadValue(flag, text, "use a number, such as 30");
  }
  return value;
}

absl::StatusOr<uint64_t> ParseByteCount(absl::string_view flag,
                                        absl::string_view text, uint64_t min,
                                        uint64_t max) {
  std::string digits = absl::AsciiStrToUpper(text);
  uint64_t unit = 1;
  for (const auto& [letter, bytes] :
       {std::pair<const char*, uint64_t>{"K", uint64_t{1} << 10},
        {"M", uint64_t{1} << 20},
        {"G", uint64_t{1} << 30}}) {
    for (const char* tail : {"IB", "B", ""}) {
      const std::string suffix = absl::StrCat(letter, tail);
      if (unit == 1 && absl::EndsWith(digits, suffix)) {
        digits.resize(digits.size() - suffix.size());
        unit = bytes;
      }
    }
  }
  uint64_t count = 0;
  uint64_t value = 0;
  if (!absl::SimpleAtoi(digits, &count) || !CheckedMul(count, unit, &value) ||
      value < min || value > max) {
    return BadValue(flag, text,
                    absl::StrCat("use a size from ", HumanBytes(min), " to ",
                                 HumanBytes(max), ", such as 8M"));
  }
  return value;
}

absl::StatusOr<int64_t> ParseBits(absl::string_view text) {
  int64_t bits = 0;
  if (absl::SimpleAtoi(text, &bits) && (bits == 4 || bits == 8 || bits == 16)) {
    return bits;
  }
  return BadValue("--bits", text, "use 4, 8 or 16");
}

absl::StatusOr<absl::string_view> ParseType(absl::string_view text) {
  Choices<absl::string_view> choices;
  for (int i = 0; i < kNumNumberFormats; ++i) {
    const absl::string_view name =
        NumberFormatName(static_cast<NumberFormat>(i));
    choices.emplace_back(name, name);
  }
  for (const NamedScheme& named : NamedSchemes()) {
    choices.emplace_back(named.name, named.name);
  }
  return ParseChoice("--type", text, choices);
}

absl::StatusOr<bool> ParseSymmetric(absl::string_view text) {
  return ParseChoice<bool>("--scheme", text,
                           {{"symmetric", true}, {"asymmetric", false}});
}

absl::StatusOr<Granularity> ParseGranularity(absl::string_view text) {
  return ParseChoice<Granularity>("--granularity", text,
                                  {{"tensor", Granularity::kTensor},
                                   {"axis", Granularity::kAxis},
                                   {"channel", Granularity::kAxis},
                                   {"group", Granularity::kGroup},
                                   {"block", Granularity::kBlock}});
}

absl::StatusOr<Convention> ParseConvention(absl::string_view text) {
  return ParseChoice<Convention>(
      "--convention", text,
      {{"torch", Convention::kTorch},
       {"compressed-tensors", Convention::kCompressedTensors}});
}

absl::StatusOr<Nonfinite> ParseNonfinite(absl::string_view text) {
  return ParseChoice<Nonfinite>("--nonfinite", text,
                                {{"error", Nonfinite::kError},
                                 {"keep", Nonfinite::kKeep},
                                 {"zero", Nonfinite::kZero}});
}

absl::StatusOr<std::vector<LayerKind>> ParseLayerTypes(absl::string_view text) {
  std::vector<LayerKind> kinds;
  for (const absl::string_view name : absl::StrSplit(text, ',')) {
    const absl::StatusOr<LayerKind> kind =
        ParseLayerKind(absl::StripAsciiWhitespace(name));
    if (!kind.ok()) {
      return Annotate(absl::StrCat("--layer-types ", text), kind.status());
    }
    kinds.push_back(*kind);
  }
  return kinds;
}

absl::StatusOr<VerifyMode> ParseVerify(absl::string_view text) {
  return ParseChoice<VerifyMode>(
      "--verify", text,
      {{"sample", VerifyMode::kSample}, {"all", VerifyMode::kAll}});
}

absl::StatusOr<std::string> ParseSimd(absl::string_view flag,
                                      absl::string_view text) {
  Choices<std::string> choices;
  for (const Kernels* kernels : AvailableKernels()) {
    const std::string name(kernels->name);
    choices.emplace_back(name, name);
  }
  return ParseChoice<std::string>(flag, text, choices);
}

absl::StatusOr<DType> ParseFloatDType(absl::string_view text) {
  std::optional<DType> dtype = DTypeFromName(absl::AsciiStrToUpper(text));
  if (!dtype) dtype = DTypeFromTorchName(absl::AsciiStrToLower(text));
  if (dtype && IsQuantizable(*dtype)) return *dtype;
  return BadValue("--dtype", text, "use F32, F16, BF16 or F64");
}

absl::StatusOr<DType> ParseScaleDType(absl::string_view text) {
  if (const auto dtype = ScaleDTypeFromName(text)) return *dtype;
  return BadValue("--scale-dtype", text, "use f32, f16, bf16, e8m0 or e4m3");
}

absl::StatusOr<ProgressFlag> ParseProgress(absl::string_view text) {
  return ParseChoice<ProgressFlag>("--progress", text,
                                   {{"auto", ProgressFlag::kAuto},
                                    {"bar", ProgressFlag::kBar},
                                    {"plain", ProgressFlag::kPlain},
                                    {"none", ProgressFlag::kNone}});
}

}  // namespace monoquant::cli
