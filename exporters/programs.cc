#include "exporters/programs.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace monoquant {
namespace {

constexpr absl::string_view kVllm[] = {
    "compressed-tensors", "gptq",    "awq",         "fp8",
    "bitsandbytes",       "torchao", "safetensors", "torch",
};
constexpr absl::string_view kSglang[] = {
    "compressed-tensors", "gptq", "awq", "fp8", "safetensors", "torch",
};
constexpr absl::string_view kTransformers[] = {
    "compressed-tensors", "gptq",    "awq",         "fp8",
    "bitsandbytes",       "torchao", "safetensors", "torch",
};
constexpr absl::string_view kTorch[] = {"torch-ao", "torch", "safetensors"};

}  // namespace

absl::Span<const Program> AllPrograms() {
  static constexpr Program kPrograms[] = {
      {"vllm", "vLLM", kVllm, /*fuses_weights=*/true},
      {"sglang", "SGLang", kSglang, /*fuses_weights=*/true},
      {"transformers", "Transformers", kTransformers},
      {"torch", "torch", kTorch},
  };
  return kPrograms;
}

std::string ProgramNames() {
  return absl::StrJoin(AllPrograms(), ", ",
                       [](std::string* out, const Program& program) {
                         absl::StrAppend(out, program.name);
                       });
}

absl::StatusOr<const Program*> FindProgram(absl::string_view name) {
  for (const Program& program : AllPrograms()) {
    if (program.name == name) return &program;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown program '", name, "'; choose one of ", ProgramNames()));
}

}  // namespace monoquant
