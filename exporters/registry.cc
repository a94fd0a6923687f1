// The output formats. A new one is a file of its own and a row here.

#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "exporters/awq.h"
#include "exporters/bitsandbytes.h"
#include "exporters/compressed_tensors.h"
#include "exporters/exporter.h"
#include "exporters/fp8.h"
#include "exporters/gptq.h"
#include "exporters/mqir.h"
#include "exporters/safetensors.h"
#include "exporters/torch_ao.h"
#include "exporters/torch_pt.h"
#include "exporters/torchao.h"
#include "ir/errors.h"

namespace monoquant {
namespace {

constexpr absl::string_view kTransformersHint =
    "from transformers import AutoModelForCausalLM; "
    "model = AutoModelForCausalLM.from_pretrained(PATH)";
constexpr absl::string_view kTorchExtensions[] = {"pt", "pth", "bin"};
constexpr absl::string_view kSafetensorsExtensions[] = {"safetensors"};
constexpr absl::string_view kMqirExtensions[] = {"mqir"};
constexpr FileNaming kShardedSafetensors = {
    .stem = "model", .extension = "safetensors", .has_shards = true};

// What follows the last dot of the last component; empty if there is none.
std::string Extension(absl::string_view path) {
  const size_t slash = path.find_last_of("/\\");
  if (slash != absl::string_view::npos) path.remove_prefix(slash + 1);
  const size_t dot = path.rfind('.');
  if (dot == absl::string_view::npos) return "";
  return absl::AsciiStrToLower(path.substr(dot + 1));
}

}  // namespace

absl::Span<const ExporterRow> AllExporters() {
  static const ExporterRow kRows[] = {
      {
          .exporter = &TorchPtExporter(),
          .extensions = kTorchExtensions,
          .python_hint =
              "import torch; weights = torch.load(PATH, weights_only=True)",
          .description = "torch.save archive of plain tensors",
          .loaded_by = "`torch.load(weights_only=True)` (2.13)",
          .naming = {.stem = "pytorch_model",
                     .extension = "bin",
                     .has_shards = true,
                     .lists_ties = true},
      },
      {
          .exporter = &SafetensorsExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = "from safetensors.torch import load_file; weights = "
                         "load_file(PATH)",
          .description = "safetensors file",
          .loaded_by = "every safetensors library (0.8)",
          .naming = kShardedSafetensors,
      },
      {
          .exporter = &CompressedTensorsExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description = "model directory for vLLM, SGLang and Transformers",
          .loaded_by = "Transformers (5.23) with compressed-tensors (0.20); "
                       "vLLM, SGLang",
          .naming = kShardedSafetensors,
          .storage = QuantStorage::kCompressedTensors,
          .quantization_config = CompressedTensorsConfig,
      },
      {
          .exporter = &GptqExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description =
              "model directory for GPTQModel, vLLM, SGLang and Transformers",
          .loaded_by = "GPTQModel (7.6), Transformers (5.23); vLLM, SGLang",
          .naming = kShardedSafetensors,
          .storage = QuantStorage::kGptq,
          .default_scheme = "int4",
          .quantization_config = GptqConfig,
      },
      {
          .exporter = &AwqExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description = "model directory for vLLM, SGLang and Transformers "
                         "with GPTQModel",
          .loaded_by = "Transformers (5.23) with GPTQModel (7.6); vLLM, SGLang",
          .naming = kShardedSafetensors,
          .storage = QuantStorage::kAwq,
          .default_scheme = "int4",
          .quantization_config = AwqConfig,
      },
      {
          .exporter = &Fp8Exporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description = "model directory for vLLM, SGLang and Transformers",
          .loaded_by = "Transformers (5.23); vLLM, SGLang",
          .naming = kShardedSafetensors,
          .storage = QuantStorage::kFp8,
          .default_scheme = "fp8_e4m3,block",
          .quantization_config = Fp8Config,
      },
      {
          .exporter = &BitsandbytesExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description =
              "model directory for Transformers and PEFT with bitsandbytes",
          .loaded_by = "Transformers (5.23) with bitsandbytes (0.50); vLLM",
          .naming = kShardedSafetensors,
          .storage = QuantStorage::kBitsandbytes,
          .default_scheme = "nf4",
          .quantization_config = BitsandbytesConfig,
      },
      {
          .exporter = &TorchaoExporter(),
          .extensions = kSafetensorsExtensions,
          .python_hint = kTransformersHint,
          .description =
              "model directory for Transformers and vLLM with torchao",
          .loaded_by = "Transformers (5.23) with torchao (0.18); vLLM",
          // One file: Transformers takes the list of tensors from its metadata.
          .naming = {.stem = "model", .extension = "safetensors"},
          .storage = QuantStorage::kTorchao,
          .quantization_config = TorchaoConfig,
      },
      {
          .exporter = &TorchAoExporter(),
          .extensions = kTorchExtensions,
          .python_hint =
              "import torch; "
              "torch.serialization.add_safe_globals([torch.ScriptObject]); "
              "model.load_state_dict(torch.load(PATH, weights_only=True))  "
              "# after quantize_dynamic: docs/formats.md#torch-ao",
          .description =
              "torch.save archive for a model after quantize_dynamic",
          .loaded_by =
              "`load_state_dict` after torch's `quantize_dynamic` (2.13)",
          .naming = {.stem = "model", .extension = "pt"},
          .storage = QuantStorage::kTorchAo,
      },
      {
          .exporter = &MqirExporter(),
          .extensions = kMqirExtensions,
          .python_hint = "",
          .description = "monoquant's own format, with checksums",
          .loaded_by = "monoquant",
          .naming = {.stem = "model", .extension = "mqir"},
      },
  };
  return kRows;
}

std::string ExporterNames() {
  return absl::StrJoin(AllExporters(), ", ",
                       [](std::string* out, const ExporterRow& row) {
                         absl::StrAppend(out, row.exporter->name());
                       });
}

absl::StatusOr<const ExporterRow*> FindExporter(absl::string_view name) {
  for (const ExporterRow& row : AllExporters()) {
    if (row.exporter->name() == name) return &row;
  }
  return InvalidArgumentError("unknown output format '", name,
                              "'; choose one of ", ExporterNames());
}

absl::StatusOr<const ExporterRow*> FindExporterForPath(absl::string_view path) {
  const std::string extension = Extension(path);
  std::vector<std::string> known;
  for (const ExporterRow& row : AllExporters()) {
    for (absl::string_view candidate : row.extensions) {
      if (candidate == extension) return &row;
      const std::string dotted = absl::StrCat(".", candidate);
      if (!absl::c_linear_search(known, dotted)) known.push_back(dotted);
    }
  }
  return InvalidArgumentError(
      path, ": the name does not tell the output format; let it end in one of ",
      absl::StrJoin(known, ", "), " or state the format");
}

}  // namespace monoquant
