// What --help says besides the flags themselves. docs/cli.md has the same
// examples.

#ifndef MONOQUANT_CLI_HELP_TEXT_H_
#define MONOQUANT_CLI_HELP_TEXT_H_

namespace monoquant::cli {

inline constexpr char kOverview[] =
    "Makes PyTorch checkpoints smaller. Nothing leaves this machine, and\n"
    "nothing in a checkpoint is executed.";

inline constexpr char kOverviewFooter[] = R"(Examples:
  monoquant quantize --model model.pt --output model_int8.pt --bits 8
  monoquant inspect model.safetensors
  monoquant quantize --help

Exit codes: 0 done, 1 a bug, 2 usage or recipe, 3 cannot quantize, 4 quality
gate or verify failed, 5 input or output, 6 malformed or unsupported input, 130 interrupted.)";

inline constexpr char kQuantizeFooter[] = R"(Examples:
  monoquant quantize --model model.pt --output model_int8.pt --bits 8
  monoquant quantize model.pt -b 4 -g 64 --skip 'lm_head.*'
  monoquant quantize model_dir --bits 4 --max-shard-size 2G
  monoquant quantize model_dir --bits 4 --for vllm
  monoquant quantize model_dir -o small.safetensors --rule '*.mlp.*=int4,group=128'
  monoquant quantize model.pt --bits 8 --dry-run)";

inline constexpr char kPlanFooter[] = R"(Examples:
  monoquant plan model.pt --bits 4
  monoquant plan model.pt --recipe recipe.json --json > plan.json)";

inline constexpr char kInspectFooter[] = R"(Examples:
  monoquant inspect model.pt
  monoquant inspect model_dir --tensors '*.weight'
  monoquant inspect model.safetensors --json --hash)";

inline constexpr char kCompareFooter[] = R"(Examples:
  monoquant compare model.pt model_int8.pt
  monoquant compare model.pt model_int4.safetensors --top 5 --fail-under 15)";

inline constexpr char kDequantizeFooter[] = R"(Examples:
  monoquant dequantize model_int8.pt -o model_float.pt
  monoquant dequantize model_int4.pt -o model.safetensors --dtype F16)";

inline constexpr char kConvertFooter[] = R"(Examples:
  monoquant convert model.pt -o model.safetensors
  monoquant convert model_int8.pt -o model_int8.mqir
  monoquant convert model.pt -o model.mqir --link
  monoquant convert model_gptq -o model_words --to compressed-tensors
  monoquant convert model_gptq -o model_sglang --for sglang)";

inline constexpr char kScanFooter[] = R"(Examples:
  monoquant scan model.pt
  monoquant scan model_dir *.ckpt
  monoquant scan download.bin --json > report.json

Exit codes: 0 safe, unknown globals or suspicious; 6 dangerous or malformed; 5 a
file cannot be read.)";

inline constexpr char kVerifyFooter[] = R"(Examples:
  monoquant verify model_dir
  monoquant verify model_dir --for vllm
  monoquant verify model.pt --for torch --hashes --json)";

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_HELP_TEXT_H_
