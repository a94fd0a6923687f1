#include "exporters/engine_directory.h"

#include <algorithm>
#include <map>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "exporters/safetensors.h"
#include "ir/errors.h"
#include "ir/quant_scheme.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kWeight = ".weight";

// An output layer that a checkpoint does not list where it is the embedding.
struct OutputLayer {
  absl::string_view module;
  // What the names of other tensors of such a model begin with; empty where
  // nothing tells.
  absl::string_view beside;
};

constexpr OutputLayer kOutputLayers[] = {
    {"lm_head", ""},                                  // Llama and most others
    {"lm_head.decoder", "lm_head.dense."},            // RoBERTa
    {"cls.predictions.decoder", "cls.predictions."},  // BERT
    {"predictions.decoder", "predictions."},          // ALBERT
    {"vocab_projector", "vocab_projector."},          // DistilBERT
};

bool StartsWithAny(const absl::flat_hash_set<absl::string_view>& names,
                   absl::string_view beginning) {
  return std::any_of(names.begin(), names.end(), [&](absl::string_view name) {
    return absl::StartsWith(name, beginning);
  });
}

}  // namespace

absl::StatusOr<FileLayout> EngineDirectory::Layout(
    const Manifest& manifest) const {
  for (const QuantizedTensor& tensor : manifest.record.tensors) {
    if (tensor.storage == storage_ || tensor.storage == other_) continue;
    return FailedPreconditionError(
        "tensor ", QuotedName(tensor.name), ": is quantized already, and ",
        "stored in another way than ", name(), " does; dequantize it, or ",
        "quantize the original with --to ", name());
  }
  if (check_ != nullptr) MQ_RETURN_IF_ERROR(check_(manifest));
  return describe_ == nullptr
             ? SafetensorsExporter().Layout(manifest)
             : SafetensorsExporter().Layout(Described(manifest));
}

absl::Status EngineDirectory::WriteIndex(const Manifest& manifest,
                                         const FileLayout& layout,
                                         absl::Span<const uint32_t> crc32,
                                         ByteSink& sink) const {
  return describe_ == nullptr
             ? SafetensorsExporter().WriteIndex(manifest, layout, crc32, sink)
             : SafetensorsExporter().WriteIndex(Described(manifest), layout,
                                                crc32, sink);
}

// With the text metadata that describes the tensors, which replaces the input's
// where that has the same keys.
Manifest EngineDirectory::Described(const Manifest& manifest) const {
  Manifest described = manifest;
  std::map<std::string, std::string> metadata;
  for (auto& [key, value] : describe_(manifest)) metadata[key] = value;
  for (auto& [key, value] : manifest.metadata) metadata.emplace(key, value);
  described.metadata.assign(metadata.begin(), metadata.end());
  return described;
}

std::string ModuleOf(absl::string_view weight) {
  return std::string(absl::StripSuffix(weight, kWeight));
}

std::vector<const QuantizedTensor*> QuantizedWeights(const Manifest& manifest) {
  std::vector<const QuantizedTensor*> weights;
  for (const QuantizedTensor& tensor : manifest.record.tensors) {
    if (HasScales(tensor.scheme.format)) weights.push_back(&tensor);
  }
  return weights;
}

std::vector<std::string> KeptModules(const Manifest& manifest) {
  absl::flat_hash_set<absl::string_view> quantized;
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    quantized.insert(tensor->name);
  }
  absl::flat_hash_set<absl::string_view> names;
  std::vector<std::string> modules;
  for (const OutputTensor& tensor : manifest.tensors) {
    names.insert(tensor.name);
    if (tensor.shape.size() != 2 || !absl::EndsWith(tensor.name, kWeight) ||
        quantized.contains(tensor.name)) {
      continue;
    }
    modules.push_back(ModuleOf(tensor.name));
  }
  for (const OutputLayer& layer : kOutputLayers) {
    if (!StartsWithAny(names, layer.beside) ||
        names.contains(absl::StrCat(layer.module, kWeight)) ||
        // A name stands for all that is in it.
        StartsWithAny(quantized, absl::StrCat(layer.module, "."))) {
      continue;
    }
    modules.emplace_back(layer.module);
  }
  return modules;
}

std::string PatternOf(absl::string_view name) {
  std::string pattern = "^";
  for (const char c : name) {
    if (c == '.') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

Json::Array ToJsonArray(const std::vector<std::string>& names) {
  Json::Array array;
  for (const std::string& name : names) array.push_back(Json(name));
  return array;
}

absl::Status CheckOneScheme(const Manifest& manifest,
                            absl::string_view format) {
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  for (const QuantizedTensor* tensor : weights) {
    const QuantizedTensor& front = *weights.front();
    const QuantScheme& first = front.scheme;
    const QuantScheme& scheme = tensor->scheme;
    if (scheme.format == first.format && scheme.symmetric == first.symmetric &&
        scheme.granularity == first.granularity &&
        scheme.group_size == first.group_size &&
        tensor->storage == front.storage) {
      continue;
    }
    return FailedPreconditionError(absl::StrCat(
        "tensor ", QuotedName(tensor->name), ": ",
        StoredSchemeToString(tensor->storage, scheme), ", but ",
        QuotedName(front.name), " is ",
        StoredSchemeToString(front.storage, first), "; ", format,
        " has one scheme for the whole model: use one, leave layers as they "
        "are (--skip), or use --to compressed-tensors"));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
