#include "cli/flags.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/flag_mistakes.h"
#include "cli/flag_values.h"
#include "cli/help_text.h"
#include "core/version.h"
#include "ir/errors.h"
#include "ir/shape.h"

namespace monoquant::cli {
namespace {

constexpr int64_t kMaxThreads = 1024;
constexpr uint64_t kMinChunk = uint64_t{64} << 10;
constexpr uint64_t kMaxChunk = uint64_t{1} << 30;
constexpr uint64_t kMinMemory = uint64_t{1} << 20;
constexpr uint64_t kMaxMemory = uint64_t{1} << 50;
constexpr uint64_t kMinShard = uint64_t{1} << 10;
constexpr uint64_t kMaxShard = uint64_t{1} << 50;

// Declares the flags of every command and collects what they were set to. An
// object parses one command line.
class Parser {
 public:
  explicit Parser(const TerminalInfo& terminal) : terminal_(terminal) {
    app_.footer(kOverviewFooter);
    app_.set_help_flag("-h,--help", "Print this and exit");
    app_.allow_extras();
    app_.require_subcommand(0, 1);
    app_.add_flag("--version", version_, "Print the version and exit");
    AddQuantize();
    AddPlan();
    AddInspect();
    AddCompare();
    AddDequantize();
    AddConvert();
    AddScan();
    AddVerify();
  }

  absl::StatusOr<Command> Parse(std::vector<std::string> args) {
    // "help quantize" is "quantize --help".
    if (!args.empty() && args[0] == "help") {
      args.erase(args.begin());
      args.push_back("--help");
    }
    // CLI11 takes the arguments from the back.
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    try {
      app_.parse(reversed);
    } catch (const CLI::CallForHelp&) {
      return InfoText{absl::StrReplaceAll(app_.help(), {{"\n\n\n", "\n\n"}})};
    } catch (const CLI::ParseError& error) {
      return ParseFailure(app_, error.what());
    }
    if (version_) return InfoText{absl::StrCat("monoquant ", kVersion, "\n")};
    const std::vector<CLI::App*> chosen = app_.get_subcommands();
    if (chosen.empty() || !app_.remaining().empty())
      return UnknownCommand(app_);
    if (!chosen[0]->remaining().empty()) {
      return UnexpectedArgument(*chosen[0]);
    }
    if (!error_.ok()) return error_;
    return finish_.at(chosen[0])();
  }

 private:
  using Setter = std::function<absl::Status(const std::string&)>;

  CLI::App* AddCommand(const char* name, const char* description,
                       const char* footer) {
    CLI::App* command = app_.add_subcommand(name, description);
    command->footer(footer);
    command->allow_extras();
    return command;
  }

  // A flag with a value. Its setter runs for each occurrence, in the order of
  // the command line; the first error is kept.
  CLI::Option* Add(CLI::App* command, const char* group, const char* flag,
                   const char* value, const char* help, Setter set) {
    return command
        ->add_option_function<std::string>(
            flag,
            [this, set = std::move(set)](const std::string& text) {
              const absl::Status status = set(text);
              if (error_.ok()) error_ = status;
            },
            help)
        ->type_name(value)
        ->trigger_on_parse()
        ->group(group);
  }

  static Setter Text(std::string& target) {
    return [&target](const std::string& text) {
      target = text;
      return absl::OkStatus();
    };
  }

  // Sets `target` to what `parse` makes of the text.
  template <typename Target, typename Parse>
  static Setter Value(Target& target, Parse parse) {
    return [&target, parse](const std::string& text) {
      auto value = parse(text);
      if (!value.ok()) return value.status();
      target = static_cast<Target>(*std::move(value));
      return absl::OkStatus();
    };
  }

  static auto Integer(const char* flag, int64_t min, int64_t max) {
    return [=](const std::string& text) {
      return ParseInteger(flag, text, min, max);
    };
  }

  void AddModel(CLI::App* command, InputArgs& input) {
    Add(command, "Input", "-m,--model,model", "PATH",
        "The checkpoint: a file or a directory", [&input](const auto& text) {
          if (!input.path.empty()) {
            return InvalidArgumentError("two inputs, '", input.path, "' and '",
                                        text, "'; name one");
          }
          input.path = text;
          return absl::OkStatus();
        });
  }

  void AddInput(CLI::App* command, InputArgs& input) {
    AddModel(command, input);
    Add(command, "Input", "--root", "KEY",
        "The dict that holds the weights, as in 'model'; '.': everything",
        Text(input.root));
    AddAllowOpaque(command, input.allow_opaque);
  }

  void AddAllowOpaque(CLI::App* command, bool& allow_opaque) {
    command
        ->add_flag("--allow-opaque", allow_opaque,
                   "Read files that call something dangerous; nothing runs")
        ->group("Input");
  }

  void AddAsStored(CLI::App* command, bool& as_stored) {
    command
        ->add_flag("--as-stored", as_stored,
                   "Of quantized checkpoints, codes and scales as stored")
        ->group("Input");
  }

  void AddOutput(CLI::App* command, OutputArgs& output, const char* help) {
    Add(command, "Output", "-o,--output", "PATH", help, Text(output.path));
    Add(command, "Output", "--to", "FORMAT",
        "safetensors, gptq, ... (docs/formats.md); otherwise as the output "
        "ends",
        Text(output.to));
    Add(command, "Output", "--max-shard-size", "SIZE",
        "Spread the weights over files of at most this size, such as 5G",
        Value(output.max_shard_bytes, [](const std::string& text) {
          return ParseByteCount("--max-shard-size", text, kMinShard, kMaxShard);
        }));
    Add(command, "Output", "--verify", "WHAT",
        "Read the output back and compare: all of it, or a sample",
        Value(output.verify, ParseVerify));
    command->add_flag("-f,--force", output.force, "Replace an existing output")
        ->group("Output");
    command
        ->add_flag_callback(
            "--resume", [&output] { output.resume = true; },
            "Go on with a run that was interrupted (default)")
        ->group("Output");
    command
        ->add_flag_callback(
            "--no-resume", [&output] { output.resume = false; },
            "Neither go on with such a run nor leave one")
        ->group("Output");
  }

  void AddProgram(CLI::App* command, OutputArgs& output) {
    Add(command, "Output", "--for", "PROGRAM",
        "vllm, sglang, transformers or torch: write what that program loads",
        Text(output.program));
  }

  void AddRun(CLI::App* command, RunArgs& run) {
    constexpr char kGroup[] = "Running";
    Add(command, kGroup, "-T,--threads", "N", "Threads; 0: one for each core",
        Value(run.threads, Integer("--threads", 0, kMaxThreads)));
    Add(command, kGroup, "--chunk-size", "SIZE",
        "Bytes read at a time, 64K to 1G; the output is the same for any",
        Value(run.chunk_bytes, [](const std::string& text) {
          return ParseByteCount("--chunk-size", text, kMinChunk, kMaxChunk);
        }));
    Add(command, kGroup, "--simd", "SET",
        "Instruction set, such as avx2; the output is the same for any",
        Value(run.simd, [](const std::string& text) {
          return ParseSimd("--simd", text);
        }));
  }

  // The same for commands that run a plan, which knows what memory it takes.
  void AddPlannedRun(CLI::App* command, RunArgs& run) {
    AddRun(command, run);
    Add(command, "Running", "--max-memory", "SIZE",
        "Take no more memory than this, such as 64M, or refuse before starting",
        Value(run.max_memory, [](const std::string& text) {
          return ParseByteCount("--max-memory", text, kMinMemory, kMaxMemory);
        }));
  }

  void AddReport(CLI::App* command, ReportArgs& report, bool progress = true) {
    constexpr char kGroup[] = "Reporting";
    command
        ->add_flag("--json", report.json,
                   "Print one JSON document instead of text")
        ->group(kGroup);
    command->add_flag("-q,--quiet", report.quiet, "Print errors only")
        ->group(kGroup);
    if (!progress) return;
    Add(command, kGroup, "--progress", "STYLE",
        "auto, bar, plain (a line for each tenth) or none",
        Value(progress_, ParseProgress));
  }

  void AddRecipe(CLI::App* command, RecipeArgs& recipe) {
    constexpr char kScheme[] = "How to quantize";
    Add(command, kScheme, "-b,--bits", "N",
        "4, 8 or 16 bits a weight: int4, int8 (default) or fp16",
        Value(recipe.bits, ParseBits));
    Add(command, kScheme, "--type", "TYPE",
        "int4, uint8, nf4, llm_int8, fp8_e4m3, mxfp4, ... "
        "(docs/recipe.md)",
        [&recipe](const std::string& text) {
          const absl::StatusOr<absl::string_view> name = ParseType(text);
          if (!name.ok()) return name.status();
          recipe.type = SchemeSpecFromName(*name)->format;
          recipe.whole_scheme = IsWholeScheme(*name) ? std::string(*name) : "";
          return absl::OkStatus();
        });
    Add(command, kScheme, "-s,--scheme", "SCHEME",
        "symmetric (default) or asymmetric",
        Value(recipe.symmetric, ParseSymmetric));
    Add(command, kScheme, "--granularity", "WHICH",
        "What shares a scale: tensor, axis (or channel), group, block",
        Value(recipe.granularity, ParseGranularity));
    Add(command, kScheme, "--axis", "N", "The axis with a scale for each index",
        Value(recipe.axis, Integer("--axis", 0, kMaxDims - 1)));
    Add(command, kScheme, "-g,--group-size", "N",
        "Weights that share a scale; with blocks their rows and columns",
        Value(recipe.group_size,
              Integer("--group-size", 1, std::numeric_limits<int32_t>::max())));
    Add(command, kScheme, "--convention", "NAME",
        "Rounding of torch (default) or compressed-tensors",
        Value(recipe.convention, ParseConvention));
    Add(command, kScheme, "--scale-dtype", "TYPE",
        "Scales are f32 (default), f16, bf16, e8m0 (powers of two) or e4m3",
        Value(recipe.scale_dtype, ParseScaleDType));
    command
        ->add_flag("--double-quant", recipe.double_quant,
                   "Quantize the scales, too: nf4 and fp4 of bitsandbytes")
        ->group(kScheme);
    Add(command, kScheme, "--nonfinite", "WHAT",
        "NaN and infinity: error (default), keep the tensor as it is, or zero",
        Value(recipe.nonfinite, ParseNonfinite));

    constexpr char kTensors[] =
        "Which tensors (the first rule that matches wins)";
    const auto rule = [&recipe](RuleArg::Kind kind) {
      return [&recipe, kind](const std::string& text) {
        recipe.rules.push_back({kind, text});
        return absl::OkStatus();
      };
    };
    Add(command, kTensors, "--rule", "GLOB=SPEC",
        "Quantize these so: '*.mlp.*=int4,group=64', '*.head=skip'",
        rule(RuleArg::Kind::kRule));
    Add(command, kTensors, "--skip", "GLOB", "Leave these as they are",
        rule(RuleArg::Kind::kSkip));
    Add(command, kTensors, "--only", "GLOB",
        "Quantize these, and nothing that no rule names",
        rule(RuleArg::Kind::kOnly));
    Add(command, kTensors, "--recipe", "FILE",
        "JSON with defaults and rules; flags come first",
        Text(recipe.recipe_file));
    Add(command, kTensors, "--min-elements", "N",
        "Leave smaller tensors as they are (default 512)",
        Value(
            recipe.min_elements,
            Integer("--min-elements", 0, std::numeric_limits<int64_t>::max())));
    Add(command, kTensors, "--layer-types", "TYPES",
        "Only weights of these layers where no rule matches: Linear,LSTM",
        Value(recipe.layer_types, ParseLayerTypes));
    command
        ->add_flag("--allow-unmatched", recipe.allow_unmatched,
                   "Accept rules that match no tensor")
        ->group(kTensors);
  }

  void AddQuantize() {
    CLI::App* command =
        AddCommand("quantize", "Write a smaller checkpoint", kQuantizeFooter);
    AddInput(command, quantize_.transform.input);
    AddOutput(
        command, quantize_.transform.output,
        "The file or directory to write; default MODEL_TYPE beside the input");
    AddProgram(command, quantize_.transform.output);
    command
        ->add_flag("--dry-run", quantize_.dry_run,
                   "Print what would happen, as 'plan' does")
        ->group("Output");
    AddRecipe(command, quantize_.recipe);
    AddPlannedRun(command, quantize_.transform.run);
    AddReport(command, quantize_.transform.report);
    finish_[command] = [this] {
      SetProgress(quantize_.transform.report);
      return quantize_;
    };
  }

  void AddPlan() {
    CLI::App* command =
        AddCommand("plan", "Say what quantize would do to each tensor, and why",
                   kPlanFooter);
    AddInput(command, plan_.transform.input);
    AddOutput(command, plan_.transform.output,
              "What quantize would write, for its files and their sizes");
    AddProgram(command, plan_.transform.output);
    AddRecipe(command, plan_.recipe);
    AddPlannedRun(command, plan_.transform.run);
    AddReport(command, plan_.transform.report, /*progress=*/false);
    finish_[command] = [this] { return plan_; };
  }

  void AddInspect() {
    CLI::App* command =
        AddCommand("inspect", "List what a checkpoint holds", kInspectFooter);
    command->alias("info");
    AddInput(command, inspect_.input);
    AddAsStored(command, inspect_.input.as_stored);
    Add(command, "Output", "--tensors", "GLOB", "Only these",
        Text(inspect_.tensors));
    command
        ->add_flag("--hash", inspect_.hash,
                   "Add the SHA-256 of each tensor; reads all of them")
        ->group("Output");
    AddRun(command, inspect_.run);
    AddReport(command, inspect_.report);
    finish_[command] = [this] {
      SetProgress(inspect_.report);
      return inspect_;
    };
  }

  void AddCompare() {
    CLI::App* command =
        AddCommand("compare", "Measure how far one checkpoint is from another",
                   kCompareFooter);
    command->alias("diff");
    Add(command, "Input", "--original,original", "PATH",
        "The checkpoint that counts as right", Text(compare_.original.path));
    Add(command, "Input", "--quantized,quantized", "PATH",
        "The checkpoint to judge", Text(compare_.other.path));
    AddAllowOpaque(command, compare_.original.allow_opaque);
    AddAsStored(command, compare_.original.as_stored);
    Add(command, "Output", "--top", "N",
        "List the N worst tensors; 0: all (default 20)",
        Value(compare_.top,
              Integer("--top", 0, std::numeric_limits<int32_t>::max())));
    Add(command, "Output", "--fail-under", "DB",
        "Exit with code 4 if a tensor has less SQNR than this",
        Value(compare_.fail_under, [](const std::string& text) {
          return ParseNumber("--fail-under", text);
        }));
    AddRun(command, compare_.run);
    AddReport(command, compare_.report);
    finish_[command] = [this] {
      SetProgress(compare_.report);
      compare_.other.allow_opaque = compare_.original.allow_opaque;
      compare_.other.as_stored = compare_.original.as_stored;
      return compare_;
    };
  }

  void AddDequantize() {
    CLI::App* command = AddCommand(
        "dequantize", "Write the floats that a quantized checkpoint stands for",
        kDequantizeFooter);
    AddInput(command, dequantize_.transform.input);
    AddOutput(
        command, dequantize_.transform.output,
        "The file or directory to write; default MODEL_float beside the input");
    Add(command, "Output", "--dtype", "TYPE",
        "F32, F16, BF16 or F64; default what each tensor was before",
        Value(dequantize_.dtype, ParseFloatDType));
    AddPlannedRun(command, dequantize_.transform.run);
    AddReport(command, dequantize_.transform.report);
    finish_[command] = [this] {
      SetProgress(dequantize_.transform.report);
      return dequantize_;
    };
  }

  void AddConvert() {
    CLI::App* command = AddCommand(
        "convert",
        "Write the same tensors and codes into another container or format",
        kConvertFooter);
    AddInput(command, convert_.transform.input);
    AddAsStored(command, convert_.transform.input.as_stored);
    AddOutput(command, convert_.transform.output,
              "The file or directory to write");
    AddProgram(command, convert_.transform.output);
    command
        ->add_flag("--link", convert_.link,
                   "mqir only: leave the weights in the input's files")
        ->group("Output");
    AddPlannedRun(command, convert_.transform.run);
    AddReport(command, convert_.transform.report);
    finish_[command] = [this] {
      SetProgress(convert_.transform.report);
      return convert_;
    };
  }

  void AddScan() {
    CLI::App* command =
        AddCommand("scan", "Say what the pickles in a file would do in Python",
                   kScanFooter);
    command
        ->add_option("paths", scan_.paths, "Files and directories, of any kind")
        ->type_name("PATH")
        ->group("Input");
    AddReport(command, scan_.report, /*progress=*/false);
    finish_[command] = [this] { return scan_; };
  }

  void AddVerify() {
    CLI::App* command = AddCommand(
        "verify", "Say whether a checkpoint is whole, and what loads it",
        kVerifyFooter);
    AddModel(command, verify_.input);
    AddAllowOpaque(command, verify_.input.allow_opaque);
    Add(command, "Checks", "--for", "PROGRAM",
        "What is to load it: vllm, sglang, transformers or torch",
        Text(verify_.program));
    command
        ->add_flag("--hashes", verify_.hashes,
                   "Read all that has a checksum, and compare")
        ->group("Checks");
    AddReport(command, verify_.report);
    finish_[command] = [this] {
      SetProgress(verify_.report);
      return verify_;
    };
  }

  void SetProgress(ReportArgs& report) const {
    switch (progress_) {
      case ProgressFlag::kAuto:
        report.progress = terminal_.can_draw_bar ? ProgressStyle::kBar
                                                 : ProgressStyle::kPlain;
        break;
      case ProgressFlag::kBar:
        report.progress = ProgressStyle::kBar;
        break;
      case ProgressFlag::kPlain:
        report.progress = ProgressStyle::kPlain;
        break;
      case ProgressFlag::kNone:
        report.progress = ProgressStyle::kNone;
        break;
    }
    if (report.quiet) report.progress = ProgressStyle::kNone;
  }

  const TerminalInfo terminal_;
  CLI::App app_{kOverview, "monoquant"};
  bool version_ = false;
  ProgressFlag progress_ = ProgressFlag::kAuto;
  absl::Status error_;
  std::map<const CLI::App*, std::function<Command()>> finish_;
  QuantizeArgs quantize_;
  PlanArgs plan_;
  InspectArgs inspect_;
  CompareArgs compare_;
  DequantizeArgs dequantize_;
  ConvertArgs convert_;
  ScanArgs scan_;
  VerifyArgs verify_;
};

}  // namespace

absl::StatusOr<Command> ParseFlags(const std::vector<std::string>& args,
                                   const TerminalInfo& terminal) {
  return Parser(terminal).Parse(args);
}

}  // namespace monoquant::cli
