#include "exporters/programs.h"

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/errors.h"

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

constexpr absl::string_view kSglangUntested[] = {"bitsandbytes"};

}  // namespace

absl::Span<const Program> AllPrograms() {
  static constexpr Program kPrograms[] = {
      {
          .name = "vllm",
          .title = "vLLM",
          .formats = kVllm,
          .fuses_weights = true,
          .fuses_experts = true,
      },
      {
          .name = "sglang",
          .title = "SGLang",
          .formats = kSglang,
          .untested = kSglangUntested,
          .fuses_weights = true,
          .fuses_experts = true,
      },
      {
          .name = "transformers",
          .title = "Transformers",
          .formats = kTransformers,
          .fuses_experts = true,
      },
      {.name = "torch", .title = "torch", .formats = kTorch},
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
    if (absl::EqualsIgnoreCase(program.name, name)) return &program;
  }
  return InvalidArgumentError("unknown program '", name, "'; choose one of ",
                              ProgramNames());
}

absl::StatusOr<absl::string_view> FormatFor(const Program& program,
                                            absl::string_view to) {
  if (to.empty()) return program.formats.front();
  const auto found = absl::c_find(program.formats, to);
  if (found != program.formats.end()) return *found;
  return InvalidArgumentError(
      program.title,
      IsUntested(program, to)
          ? absl::StrCat(" has a loader for ", to, ", which is not tested")
          : absl::StrCat(" does not load ", to),
      "; it loads ", absl::StrJoin(program.formats, ", "));
}

bool IsUntested(const Program& program, absl::string_view format) {
  return absl::c_linear_search(program.untested, format);
}

}  // namespace monoquant
