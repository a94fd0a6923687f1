#include "core/recipe.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"
#include "ir/json.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

TEST(GlobMatchTest, Table) {
  const struct {
    const char* glob;
    const char* name;
    bool matches;
  } cases[] = {
      {"", "", true},
      {"", "a", false},
      {"a", "", false},
      {"*", "", true},
      {"*", "a.b.c", true},
      {"**", "a", true},
      {"a*", "a", true},
      {"*a", "ba", true},
      {"*a", "ab", false},
      {"*.weight", "fc.weight", true},
      {"*.weight", "fc.weight_g", false},
      {"layer.*.bias", "layer.10.attn.bias", true},
      {"layer.?.bias", "layer.1.bias", true},
      {"layer.?.bias", "layer.10.bias", false},
      {"?", "\xc3\xa9", true},  // one character of two bytes
      {"??", "\xc3\xa9", false},
      {"*\xc3\xa9", "caf\xc3\xa9", true},
      {"*a*b*a*", "aabaa", true},
      {"*a*b*c*", "aabaa", false},
      {"*ab", "aaab", true},
      {"a?c*", "abcdef", true},
      {"[ab]", "a", false},  // no other wildcards
      {"[ab]", "[ab]", true},
      {"a.b", "axb", false},
      {"\\*", "*", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(GlobMatch(c.glob, c.name), c.matches) << c.glob << " " << c.name;
  }
}

// Backtracking over every star would take for ever here.
TEST(GlobMatchTest, ManyStars) {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "*a";
  EXPECT_FALSE(GlobMatch(glob + "b", std::string(5000, 'a')));
  EXPECT_TRUE(GlobMatch(glob, std::string(5000, 'a')));
}

TEST(SchemeSpecTest, Parses) {
  SchemeSpec spec = **ParseSchemeSpec("int8");
  EXPECT_EQ(spec.format, NumberFormat::kInt8);
  EXPECT_FALSE(spec.granularity.has_value());
  EXPECT_TRUE(spec.symmetric);
  EXPECT_EQ(spec.convention, Convention::kTorch);
  EXPECT_EQ(spec.observer, "minmax");
  EXPECT_EQ(spec.algorithm, "rtn");

  spec = **ParseSchemeSpec("int4,group=64,asymmetric");
  EXPECT_EQ(spec.format, NumberFormat::kInt4);
  EXPECT_EQ(spec.granularity, Granularity::kGroup);
  EXPECT_EQ(spec.group_size, 64);
  EXPECT_FALSE(spec.symmetric);

  // In any order.
  spec = **ParseSchemeSpec(
      "uint8,algorithm=rtn,convention=compressed-tensors,axis=1,"
      "observer=minmax,symmetric");
  EXPECT_EQ(spec.format, NumberFormat::kUInt8);
  EXPECT_EQ(spec.granularity, Granularity::kAxis);
  EXPECT_EQ(spec.axis, 1);
  EXPECT_EQ(spec.convention, Convention::kCompressedTensors);

  EXPECT_FALSE(spec.scale_dtype.has_value());
  EXPECT_EQ((*ParseSchemeSpec("int4,scale_dtype=bf16"))->scale_dtype,
            DType::kBF16);
  EXPECT_EQ((*ParseSchemeSpec("fp8_e4m3,scale_dtype=F16"))->scale_dtype,
            DType::kF16);
  for (const char* name : {"e8m0", "F8_E8M0", "float8_e8m0fnu"}) {
    const std::string text = std::string("fp4_e2m1,scale_dtype=") + name;
    EXPECT_EQ((*ParseSchemeSpec(text))->scale_dtype, DType::kF8E8M0) << text;
  }

  EXPECT_EQ((*ParseSchemeSpec("int8,tensor"))->granularity,
            Granularity::kTensor);
  EXPECT_EQ((*ParseSchemeSpec("int8,axis"))->granularity, Granularity::kAxis);
  // It follows from the layer then.
  EXPECT_EQ((*ParseSchemeSpec("int8,axis"))->axis, std::nullopt);
  EXPECT_EQ((*ParseSchemeSpec("int8,axis=0"))->axis, 0);
  EXPECT_EQ((*ParseSchemeSpec("int8,group"))->granularity, Granularity::kGroup);
  EXPECT_EQ((*ParseSchemeSpec("int8,group"))->group_size, 0);
  EXPECT_EQ((*ParseSchemeSpec("fp8_e4m3,block"))->granularity,
            Granularity::kBlock);
  EXPECT_EQ((*ParseSchemeSpec("fp8_e4m3,block=64"))->group_size, 64);
  EXPECT_EQ((*ParseSchemeSpec("bf16"))->format, NumberFormat::kBf16);
  EXPECT_TRUE((*ParseSchemeSpec("fp4,double_quant,group=64"))->double_quant);
  EXPECT_FALSE((*ParseSchemeSpec("nf4"))->double_quant);
  const SchemeSpec nvfp4 = **ParseSchemeSpec("nvfp4");
  EXPECT_EQ(nvfp4.format, NumberFormat::kFp4E2M1);
  EXPECT_EQ(nvfp4.granularity, Granularity::kGroup);
  EXPECT_EQ(nvfp4.scale_dtype, DType::kF8E4M3);
  EXPECT_EQ((*ParseSchemeSpec("mxfp4"))->scale_dtype, DType::kF8E8M0);
  EXPECT_EQ((*ParseSchemeSpec("mxfp8,symmetric"))->format,
            NumberFormat::kFp8E4M3);
  EXPECT_EQ(
      (*ParseSchemeSpec("fp4_e2m1,scale_dtype=e4m3,group=32"))->group_size, 32);
  EXPECT_FALSE(ParseSchemeSpec("skip")->has_value());
}

TEST(SchemeSpecTest, Refuses) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"", "scheme '': '' is no number format; use one of int8, uint8, int4"},
      {"int9", "scheme 'int9': 'int9' is no number format"},
      {"INT8", "is no number format"},
      {"int8,", "'' is no option; use tensor, axis=N"},
      {"int8,groups=32", "'groups=32' is no option"},
      {"int8,tensor=1", "'tensor=1' is no option"},
      {"int8,convention", "'convention' is no option"},
      {"int8,group=0", "'group=0' is not a whole number from 1 up"},
      {"int8,group=x", "'group=x' is not a whole number"},
      {"int8,block=0", "'block=0' is not a whole number from 1 up"},
      {"int8,block,group=32", "'group=32' states the granularity a second"},
      {"int8,group=99999999999999999999", "is not a whole number"},
      {"int8,axis=-1", "'axis=-1' is not a whole number from 0 up"},
      {"int8,axis=64", "axis 64 is out of range; use 0 to 63"},
      {"int8,convention=gptq", "there is no convention 'gptq'; use torch or"},
      {"int8,scale_dtype=f64",
       "scales cannot be 'f64'; use f32, f16, bf16, e8m0 or e4m3"},
      {"int9,group", "fp4, fp4_e2m1, llm_int8, mxfp4, mxfp8, nvfp4, or skip"},
      {"mxfp4,group=64", "'group=64' states the granularity a second time"},
      {"nvfp4,scale_dtype=f16", "states the scale_dtype a second time"},
      {"nvfp4,asymmetric", "fp4_e2m1 has no zero points"},
      {"fp8_e4m3,scale_dtype=e4m3",
       "scales of fp8_e4m3 cannot be F8_E4M3; use F32, F16, BF16 or F8_E8M0"},
      {"fp4_e2m1,scale_dtype=e4m3,axis=0",
       "scales of F8_E4M3 are of groups of at most 4096; use groups of 16"},
      {"fp4_e2m1,scale_dtype=e4m3,group=8192", "at most 4096"},
      {"int8,scale_dtype=e8m0",
       "scales of int8 cannot be F8_E8M0; use F32, F16 or BF16"},
      {"nf4,scale_dtype=e8m0", "scales of nf4 cannot be F8_E8M0"},
      {"nf4,asymmetric", "nf4 has no zero points"},
      {"nf4,convention=torch",
       "there is no convention torch for nf4, which always does what "
       "bitsandbytes does; leave it out"},
      {"fp4,convention=compressed-tensors",
       "there is no convention compressed-tensors for fp4"},
      {"llm_int8,asymmetric", "llm_int8 has no zero points"},
      {"llm_int8,convention=torch",
       "there is no convention torch for llm_int8, which always does what "
       "bitsandbytes does"},
      {"llm_int8,tensor",
       "llm_int8 has a scale for each index of axis 0 and no other; leave the "
       "granularity out, or use int8"},
      {"llm_int8,axis=1", "llm_int8 has a scale for each index of axis 0"},
      {"llm_int8,group=64", "llm_int8 has a scale for each index of axis 0"},
      {"llm_int8,scale_dtype=e8m0", "scales of llm_int8 cannot be F8_E8M0"},
      {"int8,scale_dtype", "'scale_dtype' is no option"},
      {"int8,scale_dtype=f16,scale_dtype=bf16",
       "states the scale_dtype a second time"},
      {"bf16,scale_dtype=bf16", "'scale_dtype=bf16' means nothing for bf16"},
      {"int4,double_quant",
       "double_quant is for nf4 and fp4, whose scales bitsandbytes can "
       "quantize, and not for int4; leave it out"},
      {"llm_int8,double_quant", "and not for llm_int8"},
      {"nf4,double_quant,double_quant",
       "states the double_quant a second time"},
      {"nf4,double_quant=1", "'double_quant=1' is no option"},
      {"bf16,double_quant", "'double_quant' means nothing for bf16"},
      {"int8,observer=x", "there is no observer 'x'; use one of minmax"},
      {"int8,algorithm=x", "there is no algorithm 'x'; use one of rtn"},
      {"int8,axis=0,tensor", "'tensor' states the granularity a second time"},
      {"int8,symmetric,asymmetric", "states the symmetry a second time"},
      {"fp16,group=32", "'group=32' means nothing for fp16"},
      {"fp8_e4m3,asymmetric",
       "fp8_e4m3 has no zero points and cannot be asymmetric; use symmetric"},
      {"fp8_e4m3,convention=torch",
       "there is no convention torch for fp8_e4m3, which always divides as "
       "compressed-tensors does; leave it out"},
      {"skip,tensor", "'skip' takes no options"},
  };
  for (const auto& c : cases) {
    ExpectError(ParseSchemeSpec(c.text), absl::StatusCode::kInvalidArgument,
                c.message);
  }
}

TEST(RuleTest, Parses) {
  Rule rule = *ParseRule("*.attn.*=int4,group=32");
  EXPECT_EQ(rule.match, "*.attn.*");
  EXPECT_EQ(rule.spec->group_size, 32);
  EXPECT_FALSE(ParseRule("a=skip")->spec.has_value());
}

TEST(RuleTest, Refuses) {
  ExpectError(ParseRule("int8"), absl::StatusCode::kInvalidArgument,
              "rule 'int8' is not of the form GLOB=SCHEME");
  ExpectError(ParseRule("=int8"), absl::StatusCode::kInvalidArgument,
              "is not of the form");
  ExpectError(ParseRule("a.*=int"), absl::StatusCode::kInvalidArgument,
              "rule 'a.*': scheme 'int': 'int' is no number format");
}

std::string Canonical(const std::string& text) {
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return std::string(json.status().message());
  const absl::StatusOr<Recipe> recipe = RecipeFromJson(*json);
  if (!recipe.ok()) return std::string(recipe.status().message());
  return RecipeToJson(*recipe).ToString();
}

TEST(RecipeJsonTest, EmptyIsTheDefault) {
  EXPECT_EQ(Canonical("{}"), RecipeToJson(Recipe()).ToString());
  EXPECT_EQ(Canonical("{}"),
            R"({"defaults":{"format":"int8","symmetric":true,)"
            R"("convention":"torch","observer":"minmax","algorithm":"rtn"},)"
            R"("rules":[],"only_rules":false,"min_elements":512,)"
            R"("nonfinite":"error","allow_unmatched":false})");
}

// Short strings and objects mean the same, and what is written reads back.
TEST(RecipeJsonTest, IsCanonical) {
  const std::string text = Canonical(R"({
    "allow_unmatched": true, "nonfinite": "zero", "min_elements": 1,
    "only_rules": true,
    "rules": [
      {"scheme": "skip", "match": "*.bias"},
      {"match": "a", "scheme": "int4,group=64,asymmetric"},
      {"match": "b", "scheme": {"symmetric": false, "format": "int4",
                                "group_size": 64, "granularity": "group"}},
      {"match": "c", "scheme": {"format": "int8", "granularity": "channel",
                                "axis": 1}},
      {"match": "d", "scheme": "int8,tensor,convention=compressed-tensors"},
      {"match": "e", "scheme": "int4,group,scale_dtype=bf16"},
      {"match": "f", "scheme": "fp16"}],
    "defaults": "bf16"})");
  const std::string int4 =
      R"({"format":"int4","granularity":"group","group_size":64,)"
      R"("symmetric":false,"convention":"torch","observer":"minmax",)"
      R"("algorithm":"rtn"})";
  const std::string tail = R"(,"observer":"minmax","algorithm":"rtn"})";
  EXPECT_EQ(
      text,
      R"({"defaults":{"format":"bf16"},"rules":[{"match":"*.bias","scheme":)"
      R"("skip"},{"match":"a","scheme":)" +
          int4 + R"(},{"match":"b","scheme":)" + int4 +
          R"(},{"match":"c","scheme":{"format":"int8","granularity":"axis",)"
          R"("axis":1,"symmetric":true,"convention":"torch")" +
          tail +
          R"(},{"match":"d","scheme":{"format":"int8","granularity":)"
          R"("tensor","symmetric":true,"convention":"compressed-tensors")" +
          tail +
          R"(},{"match":"e","scheme":{"format":"int4","granularity":"group",)"
          R"("symmetric":true,"convention":"torch","scale_dtype":"BF16")" +
          tail +
          R"(},{"match":"f","scheme":{"format":"fp16"}}],"only_rules":true,)"
          R"("min_elements":1,"nonfinite":"zero","allow_unmatched":true})");
  EXPECT_EQ(Canonical(text), text);
}

// What is so in any case may be said, and is left out.
TEST(RecipeJsonTest, Float8SaysNothingOfSymmetry) {
  const std::string text = Canonical(
      R"({"defaults": "fp8_e4m3,symmetric,convention=compressed-tensors",
          "rules": [{"match": "a", "scheme":
                     {"format": "fp8_e4m3", "symmetric": true,
                      "convention": "compressed-tensors"}}]})");
  const std::string scheme =
      R"({"format":"fp8_e4m3","observer":"minmax","algorithm":"rtn"})";
  EXPECT_EQ(text, R"({"defaults":)" + scheme +
                      R"(,"rules":[{"match":"a","scheme":)" + scheme +
                      R"(}],"only_rules":false,"min_elements":512,)"
                      R"("nonfinite":"error","allow_unmatched":false})");
  EXPECT_EQ(Canonical(text), text);
}

TEST(RecipeJsonTest, DoubleQuant) {
  const std::string scheme =
      R"({"format":"nf4","double_quant":true,"observer":"minmax",)"
      R"("algorithm":"rtn"})";
  const std::string text = Canonical(
      R"({"defaults": "nf4,double_quant", "rules": [{"match": "a", "scheme":
          {"double_quant": false, "format": "fp4"}}]})");
  EXPECT_EQ(text, R"({"defaults":)" + scheme +
                      R"(,"rules":[{"match":"a","scheme":{"format":"fp4",)"
                      R"("observer":"minmax","algorithm":"rtn"}}],)"
                      R"("only_rules":false,"min_elements":512,)"
                      R"("nonfinite":"error","allow_unmatched":false})");
  EXPECT_EQ(Canonical(text), text);
}

// The name of a whole scheme stands for what it is made of.
TEST(RecipeJsonTest, NamesOfSchemes) {
  const std::string text = R"({"defaults":{"format":"mxfp8"},)"
                           R"("rules":[{"match":"a","scheme":"nvfp4"}]})";
  const Recipe recipe = *RecipeFromJson(*ParseJson(text));
  EXPECT_THAT(RecipeToJson(recipe).ToString(),
              ::testing::HasSubstr(
                  R"({"defaults":{"format":"fp8_e4m3","granularity":"group",)"
                  R"("scale_dtype":"F8_E8M0","observer":"minmax",)"
                  R"("algorithm":"rtn"},"rules":[{"match":"a","scheme":)"
                  R"({"format":"fp4_e2m1","granularity":"group",)"
                  R"("scale_dtype":"F8_E4M3","observer":"minmax",)"
                  R"("algorithm":"rtn"}}])"));
}

TEST(RecipeJsonTest, LayerTypes) {
  const std::string text =
      Canonical(R"({"layer_types": ["linear", "Conv2d", "LSTM"]})");
  EXPECT_THAT(text, ::testing::HasSubstr(
                        R"(,"layer_types":["Linear","Conv2d","LSTM"],)"));
  EXPECT_EQ(Canonical(text), text);
  EXPECT_EQ(Canonical(R"({"layer_types": []})"), Canonical("{}"));
}

TEST(RecipeJsonTest, Refuses) {
  const struct {
    const char* text;
    const char* message;
  } cases[] = {
      {"[]", "recipe: must be an object, found []"},
      {R"({"rule": []})",
       "recipe: there is no member \"rule\"; the members are defaults, rules"},
      {R"({"rules": {}})", "\"rules\" must be an array, found {}"},
      {R"({"rules": [{"match": "a"}]})",
       "rules[0]: needs a \"match\" that is not empty and a \"scheme\""},
      {R"({"rules": [{"match": "", "scheme": "int8"}]})", "rules[0]: needs"},
      {R"({"rules": [{"match": "a", "scheme": "int8"},
                     {"match": 1, "scheme": "int8"}]})",
       "rules[1]: \"match\" must be a string, found 1"},
      {R"({"rules": [{"match": "a", "scheme": "int7"}]})",
       "rules[0]: scheme 'int7': 'int7' is no number format"},
      {R"({"rules": [{"match": "a", "scheme": {}}]})",
       "rules[0]: scheme: \"format\" is missing"},
      {R"({"rules": [{"match": "a", "scheme": {"format": "int8", "bits": 4}}]})",
       "there is no member \"bits\""},
      {R"({"defaults": {"format": "int3"}})",
       "defaults: scheme: \"format\" must be one of int8, uint8, int4, uint4, "
       "fp16, bf16, fp8_e4m3, fp8_e5m2, nf4, fp4, fp4_e2m1, llm_int8, "
       "mxfp4, mxfp8, nvfp4, found \"int3\""},
      {R"({"defaults": {"format": "mxfp4", "granularity": "group"}})",
       "\"granularity\" is part of mxfp4 already; leave it out"},
      {R"({"defaults": {"format": "nvfp4", "scale_dtype": "F32"}})",
       "\"scale_dtype\" is part of nvfp4 already"},
      {R"({"defaults": {"format": "int8", "granularity": "row"}})",
       "\"granularity\" must be one of tensor, axis, group, block"},
      {R"({"defaults": {"format": "int8", "axis": 1}})",
       "\"axis\" needs \"granularity\": \"axis\""},
      {R"({"defaults": {"format": "int8", "group_size": 32}})",
       "\"group_size\" needs \"granularity\": \"group\" or \"block\""},
      {R"({"defaults": {"format": "int8", "granularity": "group",
                        "group_size": -1}})",
       "\"group_size\" must be a whole number from 0 up, found -1"},
      {R"({"defaults": {"format": "int8", "granularity": "axis", "axis": 64}})",
       "axis 64 is out of range"},
      {R"({"defaults": {"format": "int8", "symmetric": 1}})",
       "\"symmetric\" must be true or false, found 1"},
      {R"({"defaults": {"format": "int8", "convention": "x"}})",
       "\"convention\" must be one of torch, compressed-tensors"},
      {R"({"defaults": {"format": "nf4", "double_quant": 1}})",
       "\"double_quant\" must be true or false, found 1"},
      {R"({"defaults": {"format": "int8", "double_quant": true}})",
       "double_quant is for nf4 and fp4"},
      {R"({"defaults": {"format": "int8", "scale_dtype": "F64"}})",
       "\"scale_dtype\" must be one of F32, F16, BF16, F8_E8M0, F8_E4M3"},
      {R"({"defaults": {"format": "int4", "scale_dtype": "F8_E8M0"}})",
       "scales of int4 cannot be F8_E8M0; use F32, F16 or BF16"},
      {R"({"defaults": {"format": "int8", "observer": "x"}})",
       "there is no observer 'x'"},
      {R"({"defaults": {"format": "fp16", "symmetric": true}})",
       "fp16 is a plain cast and has no other members"},
      {R"({"defaults": {"format": "fp8_e4m3", "symmetric": false}})",
       "fp8_e4m3 has no zero points and cannot be asymmetric"},
      {R"({"defaults": {"format": "fp8_e4m3", "convention": "torch"}})",
       "there is no convention torch for fp8_e4m3"},
      {R"({"defaults": "skip"})", "defaults: cannot be skip"},
      {R"({"min_elements": -5})", "\"min_elements\" must be a whole number"},
      {R"({"min_elements": 1.5})", "\"min_elements\" must be a whole number"},
      {R"({"layer_types": "Linear"})",
       "\"layer_types\" must be an array, found \"Linear\""},
      {R"({"layer_types": [4]})",
       "\"layer_types\" must be an array of strings, found [4]"},
      {R"({"layer_types": ["Linear", "Dense"]})",
       "recipe: there is no layer type 'Dense'; use one of Linear, "},
      {R"({"nonfinite": "drop"})",
       "\"nonfinite\" must be one of error, keep, zero, found \"drop\""},
      {R"({"only_rules": null})", "\"only_rules\" must be true or false"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(Canonical(c.text), ::testing::HasSubstr(c.message));
  }
}

TEST(ValidateRecipeTest, Refuses) {
  Recipe recipe;
  EXPECT_TRUE(ValidateRecipe(recipe).ok());
  recipe.min_elements = -1;
  ExpectError(ValidateRecipe(recipe), absl::StatusCode::kInvalidArgument,
              "min_elements -1 is negative");
  recipe = Recipe();
  recipe.rules.push_back({"", std::nullopt});
  ExpectError(ValidateRecipe(recipe), absl::StatusCode::kInvalidArgument,
              "empty pattern");
  recipe.rules[0] = {"a", SchemeSpec()};
  recipe.rules[0].spec->observer = "none";
  ExpectError(ValidateRecipe(recipe), absl::StatusCode::kInvalidArgument,
              "rule 'a': there is no observer 'none'");
  recipe = Recipe();
  recipe.defaults.group_size = -4;
  ExpectError(ValidateRecipe(recipe), absl::StatusCode::kInvalidArgument,
              "defaults: group size -4 is negative");
}

TEST(NonfiniteNameTest, RoundTrips) {
  for (Nonfinite n : {Nonfinite::kError, Nonfinite::kKeep, Nonfinite::kZero}) {
    EXPECT_EQ(NonfiniteFromName(NonfiniteName(n)), n);
  }
  EXPECT_FALSE(NonfiniteFromName("nan").has_value());
}

}  // namespace
}  // namespace monoquant
