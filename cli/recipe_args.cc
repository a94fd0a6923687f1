#include "cli/recipe_args.h"

#include <iterator>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ir/byte_source.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/local_files.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// A recipe for a large model names every tensor: some megabytes.
constexpr uint64_t kMaxRecipeBytes = uint64_t{16} << 20;

absl::StatusOr<Recipe> ReadRecipe(const std::string& path) {
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> source,
                      OpenLocalFile(path));
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      ReadAll(*source, kMaxRecipeBytes));
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return InvalidArgumentError(
        path, ": ", json.status().message(),
        "; a recipe is a JSON object, see docs/recipe.md");
  }
  absl::StatusOr<Recipe> recipe = RecipeFromJson(*json);
  if (!recipe.ok()) return Annotate(path, recipe.status());
  return recipe;
}

// The format that --bits and --type ask for together; nullopt if neither is
// given.
absl::StatusOr<std::optional<NumberFormat>> ChooseFormat(
    const RecipeArgs& args) {
  if (!args.bits) return args.type;
  NumberFormat by_bits;
  switch (*args.bits) {
    case 4:
      by_bits = NumberFormat::kInt4;
      break;
    case 8:
      by_bits = NumberFormat::kInt8;
      break;
    case 16:
      by_bits = NumberFormat::kFp16;
      break;
    default:
      return InvalidArgumentError("--bits ", *args.bits, ": use 4, 8 or 16");
  }
  if (!args.type) return by_bits;
  if (BitsOfCode(*args.type) == *args.bits) return args.type;
  return InvalidArgumentError("--bits ", *args.bits, " contradicts --type ",
                              NumberFormatName(*args.type),
                              "; leave one of them out");
}

// InvalidArgument if a flag was given that has no meaning for a plain cast.
absl::Status CheckCast(const RecipeArgs& args, NumberFormat format) {
  const char* flag = args.symmetric      ? "--scheme"
                     : args.granularity  ? "--granularity"
                     : args.axis         ? "--axis"
                     : args.group_size   ? "--group-size"
                     : args.convention   ? "--convention"
                     : args.scale_dtype  ? "--scale-dtype"
                     : args.double_quant ? "--double-quant"
                                         : nullptr;
  if (flag == nullptr) return absl::OkStatus();
  return InvalidArgumentError(flag, ": has no meaning for ",
                              NumberFormatName(format),
                              ", which needs no scale; leave it out");
}

// InvalidArgument if a flag asks for what needs zero points.
absl::Status CheckWithoutZeroPoints(const RecipeArgs& args,
                                    NumberFormat format) {
  if (args.symmetric == false) {
    return InvalidArgumentError(
        "--scheme asymmetric: ", NumberFormatName(format),
        " has no zero points and is always symmetric; leave it out");
  }
  if (!args.convention) return absl::OkStatus();
  return Annotate(
      absl::StrCat("--convention ", ConventionName(*args.convention)),
      CheckConvention(format, *args.convention));
}

// InvalidArgument if bitsandbytes does not quantize the scales of the format.
absl::Status CheckDoubleQuant(const RecipeArgs& args, NumberFormat format) {
  if (!args.double_quant || IsCodebook(format)) return absl::OkStatus();
  return InvalidArgumentError("--double-quant: has no meaning for ",
                              NumberFormatName(format),
                              "; use it with nf4 or fp4 and --to bitsandbytes");
}

// The granularity that --granularity, --axis and --group-size state together.
absl::Status ApplyGranularity(const RecipeArgs& args, SchemeSpec& spec) {
  const bool blocks = args.granularity == Granularity::kBlock;
  if (args.axis && args.group_size) {
    return InvalidArgumentError(
        "--axis contradicts --group-size; leave one of them out");
  }
  std::optional<Granularity> implied;
  if (args.axis) implied = Granularity::kAxis;
  if (args.group_size) {
    implied = blocks ? Granularity::kBlock : Granularity::kGroup;
  }
  if (implied && args.granularity && *implied != *args.granularity) {
    return InvalidArgumentError(
        args.axis ? "--axis" : "--group-size", " contradicts --granularity ",
        GranularityName(*args.granularity), "; leave one of them out");
  }
  if (!implied) implied = args.granularity;
  if (!implied) return absl::OkStatus();
  // A new granularity leaves nothing of the recipe's old one behind.
  if (spec.granularity != implied) {
    spec.axis.reset();
    spec.group_size = 0;
  }
  spec.granularity = implied;
  if (args.axis) {
    if (*args.axis < 0 || *args.axis >= kMaxDims) {
      return InvalidArgumentError("--axis ", *args.axis,
                                  ": use 0 for the first dimension and so on");
    }
    spec.axis = static_cast<int>(*args.axis);
  }
  if (args.group_size) {
    if (*args.group_size < 1) {
      return InvalidArgumentError("--group-size ", *args.group_size,
                                  ": use a positive number, such as 128");
    }
    spec.group_size = *args.group_size;
  }
  return absl::OkStatus();
}

// What belongs to --type where that names a whole scheme. InvalidArgument for a
// flag that is about the same.
absl::Status ApplyWholeScheme(const RecipeArgs& args, SchemeSpec& spec) {
  const char* flag = args.granularity   ? "--granularity"
                     : args.axis        ? "--axis"
                     : args.group_size  ? "--group-size"
                     : args.scale_dtype ? "--scale-dtype"
                                        : nullptr;
  if (flag != nullptr) {
    return InvalidArgumentError(flag, " is part of --type ", args.whole_scheme,
                                " already; leave it out");
  }
  const SchemeSpec whole = *SchemeSpecFromName(args.whole_scheme);
  spec.granularity = whole.granularity;
  spec.axis = whole.axis;
  spec.group_size = whole.group_size;
  spec.scale_dtype = whole.scale_dtype;
  return absl::OkStatus();
}

absl::StatusOr<Rule> MakeRule(const RuleArg& arg, const SchemeSpec& defaults) {
  switch (arg.kind) {
    case RuleArg::Kind::kRule: {
      absl::StatusOr<Rule> rule = ParseRule(arg.text);
      if (!rule.ok()) {
        return Annotate(absl::StrCat("--rule ", arg.text), rule.status());
      }
      return rule;
    }
    case RuleArg::Kind::kSkip:
      return Rule{arg.text, std::nullopt};
    case RuleArg::Kind::kOnly:
      return Rule{arg.text, defaults};
  }
  return InternalError("unknown kind of rule");
}

}  // namespace

absl::StatusOr<Recipe> BuildRecipe(const RecipeArgs& args,
                                   absl::string_view default_scheme) {
  Recipe recipe;
  if (!args.recipe_file.empty()) {
    MQ_ASSIGN_OR_RETURN(recipe, ReadRecipe(args.recipe_file));
  } else if (!args.bits && !args.type && !default_scheme.empty()) {
    MQ_ASSIGN_OR_RETURN(const std::optional<SchemeSpec> spec,
                        ParseSchemeSpec(default_scheme));
    if (spec.has_value()) recipe.defaults = *spec;
  }
  MQ_ASSIGN_OR_RETURN(const std::optional<NumberFormat> format,
                      ChooseFormat(args));
  if (format) recipe.defaults.format = *format;
  if (!HasScales(recipe.defaults.format)) {
    MQ_RETURN_IF_ERROR(CheckCast(args, recipe.defaults.format));
  }
  if (!HasZeroPoints(recipe.defaults.format)) {
    MQ_RETURN_IF_ERROR(CheckWithoutZeroPoints(args, recipe.defaults.format));
  }
  MQ_RETURN_IF_ERROR(CheckDoubleQuant(args, recipe.defaults.format));
  if (args.symmetric) recipe.defaults.symmetric = *args.symmetric;
  if (args.convention) recipe.defaults.convention = *args.convention;
  if (args.scale_dtype) recipe.defaults.scale_dtype = *args.scale_dtype;
  if (args.double_quant) recipe.defaults.double_quant = true;
  MQ_RETURN_IF_ERROR(ApplyGranularity(args, recipe.defaults));
  if (!args.whole_scheme.empty()) {
    MQ_RETURN_IF_ERROR(ApplyWholeScheme(args, recipe.defaults));
  }

  std::vector<Rule> rules;
  for (const RuleArg& arg : args.rules) {
    MQ_ASSIGN_OR_RETURN(Rule rule, MakeRule(arg, recipe.defaults));
    rules.push_back(std::move(rule));
    if (arg.kind == RuleArg::Kind::kOnly) recipe.only_rules = true;
  }
  rules.insert(rules.end(), std::make_move_iterator(recipe.rules.begin()),
               std::make_move_iterator(recipe.rules.end()));
  recipe.rules = std::move(rules);

  if (args.min_elements) recipe.min_elements = *args.min_elements;
  if (args.layer_types) recipe.layer_types = *args.layer_types;
  if (args.nonfinite) recipe.nonfinite = *args.nonfinite;
  if (args.allow_unmatched) recipe.allow_unmatched = true;
  return recipe;
}

absl::string_view TypeName(const RecipeArgs& args, const Recipe& recipe) {
  return args.whole_scheme.empty() ? NumberFormatName(recipe.defaults.format)
                                   : absl::string_view(args.whole_scheme);
}

}  // namespace monoquant::cli
