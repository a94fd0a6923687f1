#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kConfig = FindingKind::kConfig;
constexpr absl::string_view kConfigFile = "config.json";

struct MethodRow {
  absl::string_view name;
  EngineMethod method;
  QuantStorage storage;
};

constexpr MethodRow kMethods[] = {
    {"compressed-tensors", EngineMethod::kCompressedTensors,
     QuantStorage::kCompressedTensors},
    {"gptq", EngineMethod::kGptq, QuantStorage::kGptq},
    {"awq", EngineMethod::kAwq, QuantStorage::kAwq},
    {"fp8", EngineMethod::kFp8, QuantStorage::kFp8},
    {"bitsandbytes", EngineMethod::kBitsandbytes, QuantStorage::kBitsandbytes},
    {"torchao", EngineMethod::kTorchao, QuantStorage::kTorchao},
};

// Other methods that Transformers 5.23 has by that name.
constexpr absl::string_view kOtherMethods[] = {
    "aqlm",        "auto-round", "bitnet", "eetq",  "fbgemm_fp8",
    "fouroversix", "fp_quant",   "gemma",  "gguf",  "higgs",
    "hqq",         "metal",      "mxfp4",  "mxfp8", "nvfp4",
    "quanto",      "quark",      "sinq",   "spqr",  "vptq",
};

// How the names end of tensors that only quantized weights have.
constexpr absl::string_view kQuantizedSuffixes[] = {
    ".qweight",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
    "._weight_qdata",
    ".quant_state.bitsandbytes__nf4",
    ".quant_state.bitsandbytes__fp4",
    ".SCB",
};

// The first tensor that only a quantized checkpoint has; nullptr if none.
const TensorInfo* FirstQuantized(const Subject& subject) {
  for (const TensorInfo& tensor : subject.tensors()) {
    for (const absl::string_view suffix : kQuantizedSuffixes) {
      if (absl::EndsWith(tensor.name, suffix)) return &tensor;
    }
  }
  return nullptr;
}

bool IsFloat8(DType dtype) {
  return dtype == DType::kF8E4M3 || dtype == DType::kF8E5M2;
}

// The size of square blocks of which so many cover a matrix; 0 if there is no
// such power of two.
int64_t BlockOf(const Shape& weight, const Shape& scale) {
  for (int64_t size = 1; size <= int64_t{1} << 30; size *= 2) {
    bool fits = true;
    for (const size_t i : {0, 1}) {
      fits &= weight[i] / size + (weight[i] % size != 0) == scale[i];
    }
    if (fits && (size >= 16 || scale[0] > 1 || scale[1] > 1)) return size;
  }
  return 0;
}

// FP8 weights of two dimensions with their scales.
void FindFloat8Weights(Subject* subject) {
  absl::flat_hash_set<std::string> known;
  for (const QuantizedTensor& weight : subject->weights) {
    known.insert(weight.codes_name());
  }
  for (const TensorInfo& codes : subject->tensors()) {
    if (!IsFloat8(codes.dtype) || codes.shape.size() != 2 ||
        known.contains(codes.name)) {
      continue;
    }
    const bool inverse =
        subject->Find(absl::StrCat(codes.name, "_scale_inv")) != nullptr;
    const TensorInfo* scale = subject->Find(
        absl::StrCat(codes.name, inverse ? "_scale_inv" : "_scale"));
    // Bytes are exponents, of groups in a row (mxfp8).
    if (scale == nullptr || scale->dtype == DType::kU8) continue;
    QuantizedTensor weight;
    weight.name = codes.name;
    weight.scheme.format = codes.dtype == DType::kF8E4M3
                               ? NumberFormat::kFp8E4M3
                               : NumberFormat::kFp8E5M2;
    weight.scheme.scale_dtype = scale->dtype;
    weight.dtype = scale->dtype;
    weight.shape = codes.shape;
    weight.scale = scale->name;
    weight.storage =
        inverse ? QuantStorage::kFp8 : QuantStorage::kCompressedTensors;
    if (scale->shape.size() == 2 && scale->shape[1] == 1 &&
        scale->shape[0] == codes.shape[0] && codes.shape[0] > 1) {
      weight.scheme.granularity = Granularity::kAxis;
    } else if (scale->shape.size() == 2) {
      weight.scheme.granularity = Granularity::kBlock;
      weight.scheme.group_size = BlockOf(codes.shape, scale->shape);
    } else {
      weight.scheme.granularity = scale->shape == Shape{codes.shape[0]}
                                      ? Granularity::kAxis
                                      : Granularity::kTensor;
    }
    subject->weights.push_back(std::move(weight));
  }
}

}  // namespace

void CheckMethod(Subject* subject, Findings* findings) {
  const TensorInfo* quantized = FirstQuantized(*subject);
  const Json* quantization =
      EntryOf(subject->config.has_value() ? &subject->config->json : nullptr,
              "quantization_config");
  if (quantization == nullptr) {
    if (quantized == nullptr) return;
    // A file alone that monoquant wrote is one for monoquant.
    const bool is_for_itself = !subject->record.empty() &&
                               !subject->config.has_value() &&
                               !subject->files.is_directory;
    findings->Add(
        is_for_itself ? Severity::kWarning : Severity::kError, kConfig,
        subject->config.has_value() ? kConfigFile : "", quantized->name,
        subject->config.has_value()
            ? "is quantized, but config.json has no quantization_config: its "
              "codes are loaded as weights"
            : "is quantized, but there is no config.json to say how",
        "get the config.json that belongs to these weights");
    return;
  }
  const std::string* name = TextOf(quantization, "quant_method");
  if (name == nullptr) {
    findings->Error(kConfig, kConfigFile, "",
                    "quantization_config has no quant_method",
                    "get the config.json that belongs to these weights");
    return;
  }
  for (const MethodRow& row : kMethods) {
    if (row.name != *name) continue;
    subject->method = row.method;
    subject->storage = row.storage;
  }
  if (subject->method != EngineMethod::kNone) {
    if (quantized == nullptr &&
        !(subject->method == EngineMethod::kCompressedTensors &&
          TextOf(quantization, "format") != nullptr &&
          *TextOf(quantization, "format") == "dense")) {
      findings->Error(kConfig, kConfigFile, "",
                      absl::StrCat("says that weights are quantized by ", *name,
                                   ", but none is"),
                      "get the config.json that belongs to these weights, or "
                      "remove quantization_config");
    }
    return;
  }
  subject->method = EngineMethod::kOther;
  const bool known =
      std::find(std::begin(kOtherMethods), std::end(kOtherMethods), *name) !=
      std::end(kOtherMethods);
  findings->Add(known ? Severity::kWarning : Severity::kError, kConfig,
                kConfigFile, "",
                absl::StrCat("has the quant_method ", JsonExcerpt(Json(*name)),
                             known ? ", which is not looked into"
                                   : ", which no program knows"),
                known ? "" : "correct it");
}

void FindWeights(const QuantRecord& found, Subject* subject) {
  for (const QuantizedTensor& tensor : found.tensors) {
    if (tensor.storage != QuantStorage::kPlain &&
        tensor.storage != QuantStorage::kTorchAo) {
      subject->weights.push_back(tensor);
    }
  }
  FindFloat8Weights(subject);
}

std::string FormatOf(const Subject& subject) {
  if (subject.method != EngineMethod::kNone) {
    const std::string* name = TextOf(subject.quantization(), "quant_method");
    if (name != nullptr) return *name;
  }
  for (const QuantizedTensor& tensor : subject.record.tensors) {
    if (tensor.storage != QuantStorage::kPlain) {
      return std::string(StorageName(tensor.storage));
    }
  }
  const std::string& container = subject.stored->index().container;
  if (absl::StartsWith(container, "safetensors")) return "safetensors";
  for (const absl::string_view torch :
       {"torch", "torch-sharded", "torch-legacy", "torch-tar"}) {
    if (container == torch) return "torch";
  }
  return container;
}

}  // namespace monoquant
