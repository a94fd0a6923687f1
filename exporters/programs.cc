#include "exporters/programs.h"

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/shape.h"

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

constexpr absl::string_view kLeave = "leave it as it is (--skip)";

absl::Status Refuse(absl::string_view program, absl::string_view what,
                    absl::string_view remedy = kLeave) {
  return absl::FailedPreconditionError(
      absl::StrCat(program, "'s kernels take ", what, "; ", remedy));
}

// Programs of Hugging Face's models know the storages of engines.
absl::Status CheckIsKnown(absl::string_view program, QuantStorage storage) {
  if (storage != QuantStorage::kPlain) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(program,
                   " has no layers for monoquant's own storage; use --to "
                   "compressed-tensors, or a cast such as --type bf16"));
}

absl::Status CheckMultiples(absl::string_view program,
                            absl::Span<const int64_t> shape, int64_t rows,
                            int64_t columns) {
  if (shape[0] % rows == 0 && shape[1] % columns == 0) return absl::OkStatus();
  return Refuse(program,
                absl::StrCat("rows in multiples of ", rows, " and columns of ",
                             columns, ", not ", ShapeToString(shape)));
}

// The Marlin kernels, which vLLM and SGLang have for integer weights and 16-bit
// activations (marlin_utils.py of either). Rows are those of the weight itself,
// without others that they lay beside it.
absl::Status CheckMarlin(absl::string_view program, const QuantScheme& scheme,
                         absl::Span<const int64_t> shape) {
  if (scheme.granularity == Granularity::kGroup && scheme.group_size != 32 &&
      scheme.group_size != 64 && scheme.group_size != 128) {
    return Refuse(program,
                  absl::StrCat("groups of 32, 64 or 128, or one a row, not of ",
                               scheme.group_size),
                  "use one of these (-g)");
  }
  return CheckMultiples(program, shape, 64, 128);
}

// Weights are matrices: the storages have no place for others.
absl::Status CheckEngine(absl::string_view program, QuantStorage storage,
                         const QuantScheme& scheme,
                         absl::Span<const int64_t> shape) {
  // Whole blocks, also where several weights are laid side by side.
  if (scheme.granularity == Granularity::kBlock &&
      storage != QuantStorage::kPlain) {
    return CheckMultiples(program, shape, scheme.group_size, scheme.group_size);
  }
  switch (storage) {
    case QuantStorage::kCompressedTensors:
      // INT8 of axis 0 is multiplied as INT8, by other kernels.
      if (!HasZeroPoints(scheme.format) ||
          (BitsOfCode(scheme.format) == 8 &&
           scheme.granularity != Granularity::kGroup)) {
        return absl::OkStatus();
      }
      return CheckMarlin(program, scheme, shape);
    case QuantStorage::kGptq:
      if (!scheme.symmetric) {
        return Refuse(program, "symmetric schemes of GPTQ only",
                      "use symmetric, or --to awq");
      }
      return CheckMarlin(program, scheme, shape);
    case QuantStorage::kAwq:
      return CheckMarlin(program, scheme, shape);
    default:
      return CheckIsKnown(program, storage);
  }
}

absl::Status CheckVllm(QuantStorage storage, const QuantScheme& scheme,
                       absl::Span<const int64_t> shape) {
  return CheckEngine("vLLM", storage, scheme, shape);
}

absl::Status CheckSglang(QuantStorage storage, const QuantScheme& scheme,
                         absl::Span<const int64_t> shape) {
  return CheckEngine("SGLang", storage, scheme, shape);
}

absl::Status CheckTransformers(QuantStorage storage, const QuantScheme& scheme,
                               absl::Span<const int64_t>) {
  // Version 5.23 expects another shape of packed zero points than files have.
  if ((storage == QuantStorage::kCompressedTensors ||
       storage == QuantStorage::kPackQuantized) &&
      HasZeroPoints(scheme.format) && !scheme.symmetric) {
    return absl::FailedPreconditionError(
        "Transformers does not load zero points of compressed-tensors; use "
        "symmetric");
  }
  return CheckIsKnown("Transformers", storage);
}

}  // namespace

absl::Span<const Program> AllPrograms() {
  static constexpr Program kPrograms[] = {
      {
          .name = "vllm",
          .title = "vLLM",
          .formats = kVllm,
          .fuses_weights = true,
          .check_weight = CheckVllm,
      },
      {
          .name = "sglang",
          .title = "SGLang",
          .formats = kSglang,
          .fuses_weights = true,
          .check_weight = CheckSglang,
      },
      {
          .name = "transformers",
          .title = "Transformers",
          .formats = kTransformers,
          .check_weight = CheckTransformers,
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
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown program '", name, "'; choose one of ", ProgramNames()));
}

absl::StatusOr<absl::string_view> FormatFor(const Program& program,
                                            absl::string_view to) {
  if (to.empty()) return program.formats.front();
  const auto found = absl::c_find(program.formats, to);
  if (found != program.formats.end()) return *found;
  return absl::InvalidArgumentError(
      absl::StrCat(program.title, " does not load ", to, "; it loads ",
                   absl::StrJoin(program.formats, ", ")));
}

}  // namespace monoquant
