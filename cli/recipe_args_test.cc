// Guards what the flags of quantize and plan mean as a recipe.

#include "cli/recipe_args.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/layer_kind.h"
#include "core/recipe.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

using ::testing::HasSubstr;

// The error that `args` give, or "" and a failure if they give none.
std::string ErrorOf(const RecipeArgs& args) {
  const auto recipe = BuildRecipe(args);
  EXPECT_FALSE(recipe.ok());
  EXPECT_EQ(recipe.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(recipe.status().message());
}

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = ::testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(BuildRecipeTest, NothingGivenIsTheDefault) {
  const auto recipe = BuildRecipe({});
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(RecipeToJson(*recipe).ToString(),
            RecipeToJson(Recipe()).ToString());
}

// The scheme of an output format stands in for what is not stated, and for no
// part of what is.
TEST(BuildRecipeTest, DefaultSchemeOfTheOutput) {
  RecipeArgs args;
  Recipe recipe = *BuildRecipe(args, "fp8_e4m3,block=64");
  EXPECT_EQ(recipe.defaults.format, NumberFormat::kFp8E4M3);
  EXPECT_EQ(recipe.defaults.granularity, Granularity::kBlock);
  EXPECT_EQ(recipe.defaults.group_size, 64);
  args.granularity = Granularity::kBlock;
  args.group_size = 32;
  recipe = *BuildRecipe(args, "fp8_e4m3,block");
  EXPECT_EQ(recipe.defaults.granularity, Granularity::kBlock);
  EXPECT_EQ(recipe.defaults.group_size, 32);
  args = {};
  args.bits = 4;
  recipe = *BuildRecipe(args, "fp8_e4m3,block");
  EXPECT_EQ(recipe.defaults.format, NumberFormat::kInt4);
  EXPECT_FALSE(recipe.defaults.granularity.has_value());
  args = {};
  args.recipe_file = WriteFile("defaults.json", "{}");
  recipe = *BuildRecipe(args, "int4");
  EXPECT_EQ(recipe.defaults.format, NumberFormat::kInt8);
}

TEST(BuildRecipeTest, BitsAndTypeChooseTheFormat) {
  const struct {
    std::optional<int64_t> bits;
    std::optional<NumberFormat> type;
    NumberFormat format;
  } kCases[] = {
      {4, {}, NumberFormat::kInt4},
      {8, {}, NumberFormat::kInt8},
      {16, {}, NumberFormat::kFp16},
      {{}, NumberFormat::kUInt4, NumberFormat::kUInt4},
      {4, NumberFormat::kUInt4, NumberFormat::kUInt4},
      {8, NumberFormat::kUInt8, NumberFormat::kUInt8},
      {16, NumberFormat::kBf16, NumberFormat::kBf16},
  };
  for (const auto& test : kCases) {
    RecipeArgs args;
    args.bits = test.bits;
    args.type = test.type;
    const auto recipe = BuildRecipe(args);
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_EQ(recipe->defaults.format, test.format);
  }
}

TEST(BuildRecipeTest, ATypeMayBeAWholeScheme) {
  RecipeArgs args;
  args.recipe_file = WriteFile(
      "axis.json", R"({"defaults": {"format": "int8", "granularity": "axis",
                                    "axis": 1, "scale_dtype": "F16"}})");
  args.type = NumberFormat::kFp4E2M1;
  args.whole_scheme = "nvfp4";
  const auto recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->defaults.format, NumberFormat::kFp4E2M1);
  EXPECT_EQ(recipe->defaults.granularity, Granularity::kGroup);
  EXPECT_EQ(recipe->defaults.axis, std::nullopt);
  EXPECT_EQ(recipe->defaults.scale_dtype, DType::kF8E4M3);
  EXPECT_EQ(TypeName(args, *recipe), "nvfp4");
  EXPECT_EQ(TypeName(RecipeArgs(), *recipe), "fp4_e2m1");
  args.bits = 4;
  EXPECT_TRUE(BuildRecipe(args).ok());
  args.group_size = 16;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--group-size is part of --type nvfp4 already"));
}

TEST(BuildRecipeTest, ContradictionsAreErrors) {
  RecipeArgs args;
  args.bits = 4;
  args.type = NumberFormat::kInt8;
  EXPECT_THAT(ErrorOf(args), HasSubstr("--bits 4 contradicts --type int8"));

  args = {};
  args.bits = 9;
  EXPECT_THAT(ErrorOf(args), HasSubstr("use 4, 8 or 16"));

  args = {};
  args.axis = 1;
  args.group_size = 64;
  EXPECT_THAT(ErrorOf(args), HasSubstr("--axis contradicts --group-size"));

  args = {};
  args.granularity = Granularity::kTensor;
  args.group_size = 64;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--group-size contradicts --granularity tensor"));

  args = {};
  args.group_size = 0;
  EXPECT_THAT(ErrorOf(args), HasSubstr("--group-size 0"));

  args = {};
  args.axis = -1;
  EXPECT_THAT(ErrorOf(args), HasSubstr("--axis -1"));

  args = {};
  args.type = NumberFormat::kFp16;
  args.symmetric = false;
  EXPECT_THAT(ErrorOf(args), HasSubstr("--scheme: has no meaning for fp16"));
  args.symmetric.reset();
  args.scale_dtype = DType::kF16;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--scale-dtype: has no meaning for fp16"));
  args.scale_dtype.reset();
  args.double_quant = true;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--double-quant: has no meaning for fp16"));
  args.type = NumberFormat::kInt8;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--double-quant: has no meaning for int8; use it with "
                        "nf4 or fp4 and --to bitsandbytes"));
}

TEST(BuildRecipeTest, DoubleQuant) {
  RecipeArgs args;
  args.double_quant = true;
  args.rules.push_back({RuleArg::Kind::kOnly, "a.*"});
  const auto recipe = BuildRecipe(args, "nf4");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_TRUE(recipe->defaults.double_quant);
  EXPECT_TRUE(recipe->rules[0].spec->double_quant);
  EXPECT_FALSE(BuildRecipe({}, "nf4")->defaults.double_quant);
}

TEST(BuildRecipeTest, Float8IsSymmetric) {
  RecipeArgs args;
  args.bits = 8;
  args.type = NumberFormat::kFp8E4M3;
  args.symmetric = true;
  args.convention = Convention::kCompressedTensors;
  const auto recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->defaults.format, NumberFormat::kFp8E4M3);
  args.convention = Convention::kTorch;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--convention torch: there is no convention torch for "
                        "fp8_e4m3"));
  args.convention.reset();
  args.symmetric = false;
  EXPECT_THAT(ErrorOf(args),
              HasSubstr("--scheme asymmetric: fp8_e4m3 has no zero points"));
}

TEST(BuildRecipeTest, AxisAndGroupSizeImplyTheGranularity) {
  RecipeArgs args;
  args.axis = 1;
  auto recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->defaults.granularity, Granularity::kAxis);
  EXPECT_EQ(recipe->defaults.axis, 1);

  args = {};
  args.group_size = 64;
  recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->defaults.granularity, Granularity::kGroup);
  EXPECT_EQ(recipe->defaults.group_size, 64);
}

TEST(BuildRecipeTest, RulesKeepTheirOrderBeforeThoseOfTheFile) {
  RecipeArgs args;
  args.recipe_file = WriteFile("recipe.json",
                               R"({"defaults": "int4",
          "rules": [{"match": "file.*", "scheme": "skip"}]})");
  args.rules = {{RuleArg::Kind::kSkip, "b.*"},
                {RuleArg::Kind::kRule, "a.*=int8"},
                {RuleArg::Kind::kOnly, "c.*"}};
  const auto recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  ASSERT_EQ(recipe->rules.size(), 4u);
  EXPECT_EQ(recipe->rules[0].match, "b.*");
  EXPECT_FALSE(recipe->rules[0].spec.has_value());
  EXPECT_EQ(recipe->rules[1].match, "a.*");
  EXPECT_EQ(recipe->rules[1].spec->format, NumberFormat::kInt8);
  EXPECT_EQ(recipe->rules[2].match, "c.*");
  EXPECT_EQ(recipe->rules[2].spec->format, NumberFormat::kInt4);
  EXPECT_EQ(recipe->rules[3].match, "file.*");
  EXPECT_TRUE(recipe->only_rules);
}

TEST(BuildRecipeTest, FlagsOverrideTheFile) {
  RecipeArgs args;
  args.recipe_file =
      WriteFile("flags_override.json", R"({"layer_types": ["GRU"]})");
  EXPECT_EQ(BuildRecipe(args)->layer_types,
            std::vector<LayerKind>({LayerKind::kGru}));
  args.layer_types =
      std::vector<LayerKind>{LayerKind::kLinear, LayerKind::kConv2d};
  args.min_elements = 7;
  args.nonfinite = Nonfinite::kZero;
  args.allow_unmatched = true;
  args.symmetric = false;
  args.convention = Convention::kCompressedTensors;
  args.scale_dtype = DType::kBF16;
  const auto recipe = BuildRecipe(args);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->defaults.scale_dtype, DType::kBF16);
  EXPECT_EQ(recipe->min_elements, 7);
  EXPECT_EQ(recipe->layer_types, *args.layer_types);
  EXPECT_EQ(recipe->nonfinite, Nonfinite::kZero);
  EXPECT_TRUE(recipe->allow_unmatched);
  EXPECT_FALSE(recipe->defaults.symmetric);
  EXPECT_EQ(recipe->defaults.convention, Convention::kCompressedTensors);
}

TEST(BuildRecipeTest, AFileThatIsWrongIsNamed) {
  RecipeArgs args;
  args.recipe_file = WriteFile("broken.json", "{\"rules\": [");
  EXPECT_THAT(ErrorOf(args), HasSubstr("broken.json: "));
  args.recipe_file = WriteFile("unknown.json", R"({"bitz": 8})");
  EXPECT_THAT(ErrorOf(args), HasSubstr("unknown.json: "));
  args.recipe_file = "/no/such/recipe.json";
  EXPECT_EQ(BuildRecipe(args).status().code(), absl::StatusCode::kNotFound);
}

TEST(BuildRecipeTest, ARuleThatIsWrongIsQuoted) {
  RecipeArgs args;
  args.rules = {{RuleArg::Kind::kRule, "a.*=int5"}};
  EXPECT_THAT(ErrorOf(args), HasSubstr("--rule a.*=int5: "));
}

}  // namespace
}  // namespace monoquant::cli
