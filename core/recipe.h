// What the user wants: ordered rules from tensor names to schemes.
//
// A recipe is plain data with a JSON form (docs/recipe.md); the flags of the
// command line are shorthand for one. It is written into every output.

#ifndef MONOQUANT_CORE_RECIPE_H_
#define MONOQUANT_CORE_RECIPE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/layer_kind.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// What happens to NaN and infinite values of a tensor that is to be quantized.
enum class Nonfinite : uint8_t {
  kError = 0,  // the run fails and names the tensor and the index
  kKeep = 1,   // formats with scales: the tensor stays in its float type
               // (found by NonfiniteSearch, before the plan); casts: the value
               // stays NaN or infinite
  kZero = 2,   // the value counts as 0
};

// A scheme as a user states it: what is absent follows from the tensor. Casts
// (fp16, bf16) have a format and nothing else.
struct SchemeSpec {
  NumberFormat format = NumberFormat::kInt8;
  // Absent: 8-bit formats per axis, of tensors of two dimensions and more;
  // 4-bit formats per group of 128, or of 64 or 32 where 128 does not divide
  // the row, or else per axis. For nf4 and fp4 64 is the first of these, and
  // for scales of E8M0, with 8 bits too, 32 the only one, for those of E4M3 16.
  // Tensors of less than two dimensions have no channels: one scale in place of
  // an axis.
  std::optional<Granularity> granularity;
  // With kAxis; absent, and where an axis takes the place of another
  // granularity: that of the output channels (FindOutputAxes), 0 for most
  // layers, for all that an engine loads and for llm_int8.
  std::optional<int> axis;
  // With kGroup: 0 means as above; any other value must divide the row. With
  // kBlock: rows and columns of a block, 128 for 0; tensors that are no
  // matrices get one scale for each index of an axis.
  int64_t group_size = 0;
  // Formats without zero points (all but integers) are always symmetric, and
  // have no choice of conventions: theirs is not looked at.
  bool symmetric = true;
  Convention convention = Convention::kTorch;
  // Absent: F32, or what the output format asks for (PlanOptions::storage).
  std::optional<DType> scale_dtype;
  // Of nf4 and fp4 in outputs of bitsandbytes: scales are quantized themselves
  // (QuantStorage::kBitsandbytesNested).
  bool double_quant = false;
  std::string observer = "minmax";
  std::string algorithm = "rtn";
};

// The scheme of a number format with nothing else stated ("int8"), or one that
// has a name as a whole ("mxfp4", see NamedSchemes); and all these names, for
// messages.
std::optional<SchemeSpec> SchemeSpecFromName(absl::string_view name);
std::string SchemeSpecNames();

// Whether nothing can be added to what the name states: granularity and type of
// scales are part of it.
bool IsWholeScheme(absl::string_view name);

// Tensors whose name matches `match` get `spec`, or stay as they are.
struct Rule {
  // Glob over the whole name: '*' is any run of characters, dots included; '?'
  // is one character; everything else stands for itself.
  std::string match;
  // nullopt: skip.
  std::optional<SchemeSpec> spec;
};

struct Recipe {
  // For tensors that no rule matches and that are weights by default
  // (core/default_policy.h).
  SchemeSpec defaults;
  // The first rule that matches a tensor wins. A rule also overrides the
  // default policy: a matching tensor is quantized although it is, say, an
  // embedding. It cannot make an integer tensor quantizable.
  std::vector<Rule> rules;
  // Quantize only what a rule matches; the default policy is not asked.
  bool only_rules = false;
  // Tensors with fewer elements stay as they are unless a rule matches.
  int64_t min_elements = 512;
  // The layers whose weights are quantized where no rule matches; empty: those
  // of all kinds but embeddings, which are quantized where they are listed.
  std::vector<LayerKind> layer_types;
  Nonfinite nonfinite = Nonfinite::kError;
  // A rule that matches no tensor is an error unless this is set.
  bool allow_unmatched = false;
};

// Parses "int4", "int4,group=64,asymmetric", "int8,axis=1", "int8,tensor",
// "skip", "fp16", "uint8,convention=compressed-tensors", "mxfp4" ...: a number
// format, or the name of a scheme, followed by options in any order. nullopt
// inside means skip.
//
//   scheme  = "skip" | ( format | NAME ) { "," option }
//   option  = "tensor" | "axis" [ "=" N ] | "group" [ "=" N ]
//           | "block" [ "=" N ]
//           | "symmetric" | "asymmetric" | "convention=" NAME
//           | "scale_dtype=" NAME | "double_quant"
//           | "observer=" NAME | "algorithm=" NAME
//
// InvalidArgument quoting the part that is wrong and what would be right.
absl::StatusOr<std::optional<SchemeSpec>> ParseSchemeSpec(
    absl::string_view text);

// Parses "GLOB=SPEC" (split at the first '=').
absl::StatusOr<Rule> ParseRule(absl::string_view text);

// True if `glob` matches all of `name`. Linear time in practice: no recursion.
bool GlobMatch(absl::string_view glob, absl::string_view name);

// JSON form and back, every member checked; unknown members are errors.
// RecipeToJson(RecipeFromJson(x)) is canonical. What is so in any case may be
// stated but does not come back: fp8_e4m3 is symmetric, and divides as
// compressed-tensors does.
Json RecipeToJson(const Recipe& recipe);
absl::StatusOr<Recipe> RecipeFromJson(const Json& json);

// What the two above and the parsers guarantee, for recipes made by hand:
// numbers in range, known names of observer and algorithm. InvalidArgument.
absl::Status ValidateRecipe(const Recipe& recipe);
absl::Status ValidateSchemeSpec(const SchemeSpec& spec);

// For a convention that a user states: InvalidArgument if it is not that of a
// format that has no choice.
absl::Status CheckConvention(NumberFormat format, Convention stated);

// "error", "keep", "zero" and back.
absl::string_view NonfiniteName(Nonfinite nonfinite);
std::optional<Nonfinite> NonfiniteFromName(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_RECIPE_H_
