// Guards the command line: what each flag sets, and what mistakes are told.

#include "cli/flags.h"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/layer_kind.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Command> Parse(const std::string& line,
                              const TerminalInfo& terminal = {}) {
  return ParseFlags(absl::StrSplit(line, ' ', absl::SkipEmpty()), terminal);
}

// The arguments that `line` gives, which must be of command `Args`.
template <typename Args>
Args Get(const std::string& line, const TerminalInfo& terminal = {}) {
  const absl::StatusOr<Command> command = Parse(line, terminal);
  EXPECT_TRUE(command.ok()) << command.status();
  if (!command.ok() || !std::holds_alternative<Args>(*command)) {
    ADD_FAILURE() << line;
    return Args();
  }
  return std::get<Args>(*command);
}

TEST(FlagsTest, EveryFlagOfQuantize) {
  const auto args = Get<QuantizeArgs>(
      "quantize --model m.pt --output o.bin --to torch --for torch --root a.b "
      "-f --dry-run "
      "-b 4 --type uint4 -s asymmetric --granularity group -g 64 "
      "--convention compressed-tensors --scale-dtype bf16 --double-quant "
      "--nonfinite zero "
      "--recipe r.json "
      "--min-elements 9 --layer-types Linear,lstm --allow-unmatched -T 3 "
      "--chunk-size 64K --json "
      "--max-shard-size 5GB --progress plain");
  EXPECT_EQ(args.transform.input.path, "m.pt");
  EXPECT_EQ(args.transform.input.root, "a.b");
  EXPECT_EQ(args.transform.output.path, "o.bin");
  EXPECT_EQ(args.transform.output.to, "torch");
  EXPECT_EQ(args.transform.output.program, "torch");
  EXPECT_TRUE(args.transform.output.force);
  EXPECT_EQ(args.transform.output.max_shard_bytes, uint64_t{5} << 30);
  EXPECT_TRUE(args.dry_run);
  EXPECT_EQ(args.recipe.bits, 4);
  EXPECT_EQ(args.recipe.type, NumberFormat::kUInt4);
  EXPECT_EQ(args.recipe.symmetric, false);
  EXPECT_EQ(args.recipe.granularity, Granularity::kGroup);
  EXPECT_EQ(args.recipe.group_size, 64);
  EXPECT_EQ(args.recipe.convention, Convention::kCompressedTensors);
  EXPECT_EQ(args.recipe.scale_dtype, DType::kBF16);
  EXPECT_TRUE(args.recipe.double_quant);
  EXPECT_EQ(args.recipe.nonfinite, Nonfinite::kZero);
  EXPECT_EQ(args.recipe.recipe_file, "r.json");
  EXPECT_EQ(args.recipe.min_elements, 9);
  EXPECT_THAT(*args.recipe.layer_types,
              ::testing::ElementsAre(LayerKind::kLinear, LayerKind::kLstm));
  EXPECT_TRUE(args.recipe.allow_unmatched);
  EXPECT_EQ(args.transform.run.threads, 3);
  EXPECT_EQ(args.transform.run.chunk_bytes, 65536u);
  EXPECT_TRUE(args.transform.report.json);
  EXPECT_EQ(args.transform.report.progress, ProgressStyle::kPlain);
}

TEST(FlagsTest, TheModelMayStandAlone) {
  const auto args = Get<QuantizeArgs>("quantize -b8 m.pt --output=o.pt");
  EXPECT_EQ(args.transform.input.path, "m.pt");
  EXPECT_EQ(args.transform.output.path, "o.pt");
  EXPECT_EQ(args.recipe.bits, 8);
  EXPECT_EQ(args.recipe.type, std::nullopt);
}

TEST(FlagsTest, ATypeMayBeAWholeScheme) {
  auto args = Get<QuantizeArgs>("quantize m.pt --type MXFP8");
  EXPECT_EQ(args.recipe.type, NumberFormat::kFp8E4M3);
  EXPECT_EQ(args.recipe.whole_scheme, "mxfp8");
  args = Get<QuantizeArgs>("quantize m.pt --type mxfp8 --type int4");
  EXPECT_EQ(args.recipe.type, NumberFormat::kInt4);
  EXPECT_EQ(args.recipe.whole_scheme, "");
}

TEST(FlagsTest, RulesKeepTheirOrder) {
  const auto args = Get<QuantizeArgs>(
      "quantize m.pt --skip a --rule b=int8 --only c --rule d[0]=skip --skip "
      "[e]");
  const auto& rules = args.recipe.rules;
  ASSERT_EQ(rules.size(), 5u);
  EXPECT_EQ(rules[0].kind, RuleArg::Kind::kSkip);
  EXPECT_EQ(rules[0].text, "a");
  EXPECT_EQ(rules[1].kind, RuleArg::Kind::kRule);
  EXPECT_EQ(rules[1].text, "b=int8");
  EXPECT_EQ(rules[2].kind, RuleArg::Kind::kOnly);
  EXPECT_EQ(rules[2].text, "c");
  EXPECT_EQ(rules[3].text, "d[0]=skip");
  EXPECT_EQ(rules[4].text, "[e]");
}

TEST(FlagsTest, OtherCommands) {
  EXPECT_EQ(Get<PlanArgs>("plan m.pt --axis 1").recipe.axis, 1);
  for (const char* name : {"inspect", "info"}) {
    const auto args =
        Get<InspectArgs>(std::string(name) + " m.pt --hash --tensors *.weight");
    EXPECT_TRUE(args.hash);
    EXPECT_EQ(args.tensors, "*.weight");
  }
  for (const char* name : {"compare", "diff"}) {
    const auto args = Get<CompareArgs>(std::string(name) +
                                       " a.pt b.pt --top 3 --fail-under 30.5");
    EXPECT_EQ(args.original.path, "a.pt");
    EXPECT_EQ(args.other.path, "b.pt");
    EXPECT_EQ(args.top, 3);
    EXPECT_EQ(args.fail_under, 30.5);
  }
  for (const char* dtype : {"F16", "f16", "half", "float16"}) {
    EXPECT_EQ(
        Get<DequantizeArgs>(std::string("dequantize m.pt --dtype ") + dtype)
            .dtype,
        DType::kF16);
  }
  EXPECT_TRUE(Get<ConvertArgs>("convert m.pt -o o.mqir --link").link);
  EXPECT_EQ(Get<ConvertArgs>("convert m --for vllm").transform.output.program,
            "vllm");
  const auto scan = Get<ScanArgs>("scan a.pt b.pt --json");
  EXPECT_EQ(scan.paths, (std::vector<std::string>{"a.pt", "b.pt"}));
  EXPECT_TRUE(scan.report.json);
  const auto verify =
      Get<VerifyArgs>("verify dir --for vllm --hashes --allow-opaque --json");
  EXPECT_EQ(verify.input.path, "dir");
  EXPECT_EQ(verify.program, "vllm");
  EXPECT_TRUE(verify.hashes);
  EXPECT_TRUE(verify.input.allow_opaque);
  EXPECT_TRUE(verify.report.json);
  EXPECT_FALSE(Get<VerifyArgs>("verify dir").hashes);
}

TEST(FlagsTest, HowFilesAreRead) {
  for (const char* command : {"quantize", "plan"}) {
    const std::string line = absl::StrCat(command, " m.pt --allow-opaque");
    const auto parsed = Parse(line);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
  }
  EXPECT_TRUE(Get<QuantizeArgs>("quantize m.pt --allow-opaque")
                  .transform.input.allow_opaque);
  EXPECT_FALSE(Get<QuantizeArgs>("quantize m.pt").transform.input.allow_opaque);
  EXPECT_TRUE(Get<DequantizeArgs>("dequantize m.pt --allow-opaque")
                  .transform.input.allow_opaque);
  const auto inspect =
      Get<InspectArgs>("inspect m.pt --allow-opaque --as-stored");
  EXPECT_TRUE(inspect.input.allow_opaque);
  EXPECT_TRUE(inspect.input.as_stored);
  EXPECT_TRUE(
      Get<ConvertArgs>("convert m.pt --as-stored").transform.input.as_stored);
  // Of both sides.
  const auto compare =
      Get<CompareArgs>("compare a.pt b.pt --allow-opaque --as-stored");
  EXPECT_TRUE(compare.original.allow_opaque && compare.other.allow_opaque);
  EXPECT_TRUE(compare.original.as_stored && compare.other.as_stored);
}

TEST(FlagsTest, ProgressFollowsTheTerminalUnlessToldOtherwise) {
  const TerminalInfo bar = {true};
  const auto style = [&](const std::string& flags, const TerminalInfo& info) {
    return Get<InspectArgs>("inspect m.pt " + flags, info).report.progress;
  };
  EXPECT_EQ(style("", {}), ProgressStyle::kPlain);
  EXPECT_EQ(style("", bar), ProgressStyle::kBar);
  EXPECT_EQ(style("--progress plain", bar), ProgressStyle::kPlain);
  EXPECT_EQ(style("--progress bar", {}), ProgressStyle::kBar);
  EXPECT_EQ(style("--progress none", bar), ProgressStyle::kNone);
  EXPECT_EQ(style("--quiet", bar), ProgressStyle::kNone);
}

TEST(FlagsTest, HelpAndVersion) {
  EXPECT_THAT(Get<InfoText>("--version").text, HasSubstr("monoquant "));
  EXPECT_THAT(Get<InfoText>("--help").text, HasSubstr("quantize"));
  for (const char* name : {"quantize", "plan", "inspect", "compare",
                           "dequantize", "convert", "scan"}) {
    const std::string text = Get<InfoText>(std::string(name) + " -h").text;
    EXPECT_THAT(text, HasSubstr("Examples:"));
    EXPECT_EQ(Get<InfoText>(std::string("help ") + name).text, text);
  }
}

TEST(FlagsTest, EachMistakeIsToldInOneLine) {
  const struct {
    const char* line;
    const char* message;
  } kCases[] = {
      {"", "no command"},
      {"quantise m.pt", "unknown command 'quantise'; did you mean 'quantize'?"},
      {"frobnicate", "unknown command 'frobnicate'; 'monoquant --help'"},
      {"--json", "unknown flag '--json'"},
      {"--json quantize m.pt", "flags come after the command"},
      {"frob quantize m.pt", "unknown command 'frob'"},
      {"quantize --modle m.pt",
       "unknown flag '--modle'; did you mean '--model'?"},
      {"quantize m.pt --out=x", "unknown flag '--out'"},
      {"quantize m.pt -z", "unknown flag '-z'"},
      {"quantize m.pt n.pt", "unexpected argument 'n.pt'"},
      {"quantize -m m.pt --model n.pt", "two inputs, 'm.pt' and 'n.pt'"},
      {"compare a.pt b.pt c.pt", "unexpected argument 'c.pt'"},
      {"scan a.pt --root x", "unknown flag '--root'"},
      {"dequantize m.pt --for vllm", "unknown flag '--for'"},
      {"quantize m.pt --bits 9", "--bits 9: use 4, 8 or 16"},
      {"quantize m.pt --bits eight", "--bits eight: use 4, 8 or 16"},
      {"quantize m.pt --bits", "--bits"},
      {"quantize m.pt --scheme symetric", "did you mean symmetric?"},
      {"quantize m.pt --type int5", "use int8, uint8, int4"},
      {"quantize m.pt --type mxfp6", "mxfp4, mxfp8 or nvfp4; did you mean"},
      {"quantize m.pt --granularity row",
       "use tensor, axis, channel, group or block"},
      {"quantize m.pt --nonfinite maybe", "use error, keep or zero"},
      {"quantize m.pt --convention tf", "use torch or compressed-tensors"},
      {"quantize m.pt --scale-dtype f64", "use f32, f16, bf16, e8m0 or e4m3"},
      {"quantize m.pt --layer-types Linear,Dense",
       "--layer-types Linear,Dense: there is no layer type 'Dense'; use one "
       "of Linear, TransposedLinear, "},
      {"quantize m.pt --axis -1", "--axis -1: use a whole number from 0"},
      {"quantize m.pt -g 0", "--group-size 0: use a whole number from 1"},
      {"quantize m.pt -T 100000", "--threads 100000: use a whole number"},
      {"quantize m.pt --chunk-size 1K", "use a size from 64.0 KiB"},
      {"quantize m.pt --chunk-size 9999999999G", "use a size"},
      {"quantize m.pt --verify some", "--verify some: use sample or all"},
      {"quantize m.pt --max-memory 1K", "use a size from 1.0 MiB"},
      {"inspect m.pt --max-memory 64M", "--max-memory"},
      {"quantize m.pt --simd mmx", "--simd mmx: use "},
      {"quantize m.pt --min-elements x", "--min-elements x"},
      {"quantize m.pt --progress fast", "use auto, bar, plain or none"},
      {"compare a.pt b.pt --fail-under nan", "--fail-under nan: use a number"},
      {"compare a.pt b.pt --top -1", "--top -1"},
      {"dequantize m.pt --dtype I8", "use F32, F16, BF16 or F64"},
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<Command> command = Parse(test.line);
    ASSERT_FALSE(command.ok()) << test.line;
    EXPECT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(command.status().message(), HasSubstr(test.message));
    EXPECT_THAT(command.status().message(), Not(HasSubstr("\n")));
  }
}

TEST(FlagsTest, Sizes) {
  const struct {
    const char* text;
    uint64_t bytes;
  } kCases[] = {{"65536", 65536}, {"64k", 65536},    {"64KiB", 65536},
                {"8M", 8u << 20}, {"8MB", 8u << 20}, {"1G", 1u << 30}};
  for (const auto& test : kCases) {
    EXPECT_EQ(Get<QuantizeArgs>(std::string("quantize m.pt --chunk-size ") +
                                test.text)
                  .transform.run.chunk_bytes,
              test.bytes);
  }
}

TEST(FlagsTest, InstructionSet) {
  EXPECT_EQ(Get<QuantizeArgs>("quantize m.pt").transform.run.simd, "");
  EXPECT_EQ(Get<CompareArgs>("compare a.pt b.pt --simd scalar").run.simd,
            "scalar");
}

}  // namespace
}  // namespace monoquant::cli
