// The flags that say how to quantize, and the recipe that they stand for.

#ifndef MONOQUANT_CLI_RECIPE_ARGS_H_
#define MONOQUANT_CLI_RECIPE_ARGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/layer_kind.h"
#include "core/recipe.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"

namespace monoquant::cli {

// One --rule, --skip or --only, in the order of the command line.
struct RuleArg {
  enum class Kind : uint8_t { kRule, kSkip, kOnly };
  Kind kind = Kind::kRule;
  std::string text;  // GLOB=SPEC for kRule, otherwise GLOB
};

// What was not given is absent, and then comes from the recipe file or the
// defaults of core/recipe.h.
struct RecipeArgs {
  std::string recipe_file;  // --recipe
  std::optional<int64_t> bits;
  std::optional<NumberFormat> type;
  // The name that was given as --type if that says more (IsWholeScheme):
  // "mxfp4".
  std::string whole_scheme;
  std::optional<bool> symmetric;
  std::optional<Granularity> granularity;
  std::optional<int64_t> axis;
  std::optional<int64_t> group_size;
  std::optional<Convention> convention;
  std::optional<DType> scale_dtype;
  bool double_quant = false;
  std::vector<RuleArg> rules;
  std::optional<int64_t> min_elements;
  std::optional<std::vector<LayerKind>> layer_types;
  std::optional<Nonfinite> nonfinite;
  bool allow_unmatched = false;
};

// The recipe file, if there is one, overlaid with the flags: --bits to
// --double-quant change its defaults, and the rules of the command line come
// before its own. Reads no other file. Without a recipe file, --bits and --type
// the scheme is `default_scheme`, as ParseSchemeSpec reads it, if that is not
// empty.
//
// InvalidArgument for flags that contradict each other or have no meaning for
// the number format; the errors of reading the file, with its name.
absl::StatusOr<Recipe> BuildRecipe(const RecipeArgs& args,
                                   absl::string_view default_scheme = "");

// What an output without a name of its own is called after: "int8", "mxfp4".
absl::string_view TypeName(const RecipeArgs& args, const Recipe& recipe);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RECIPE_ARGS_H_
