// What is verified, opened once for all checks.

#ifndef MONOQUANT_VERIFY_SUBJECT_H_
#define MONOQUANT_VERIFY_SUBJECT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "exporters/programs.h"
#include "frontends/model_config.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"

namespace monoquant {

// How a checkpoint's weights are quantized, as quant_method has it.
enum class EngineMethod : uint8_t {
  kNone,
  kCompressedTensors,
  kGptq,
  kAwq,
  kFp8,
  kBitsandbytes,
  kTorchao,
  kOther,  // one that is not looked into
};

struct Subject {
  // `checkpoint` must outlive it.
  explicit Subject(const CheckpointFiles& checkpoint) : files(checkpoint) {}

  const CheckpointFiles& files;
  // The program that is to load it; null for any.
  const Program* program = nullptr;

  // The file that stands for the checkpoint: the index of the shards, or the
  // only one. Empty where there is no such file.
  std::string main_file;
  // The classes and functions that its pickles name.
  std::vector<std::string> globals;
  // The list of tensors that torchao's metadata has in the last of several
  // files.
  std::string last_torchao_names;
  // Its tensors as they are stored, without any record.
  std::shared_ptr<const CheckpointReader> stored;
  // By name, in the index of `stored`.
  absl::flat_hash_map<absl::string_view, size_t> by_name;
  // What monoquant wrote into it; empty if others wrote it.
  QuantRecord record;
  std::optional<ModelConfig> config;
  EngineMethod method = EngineMethod::kNone;
  // In which the method keeps weights as monoquant writes them.
  QuantStorage storage = QuantStorage::kPlain;

  // The weights that are quantized in a way that engines know, whether or not
  // monoquant wrote them.
  std::vector<QuantizedTensor> weights;
  // False if they contradict themselves, so that `weights` is not all.
  bool weights_are_known = false;

  const std::vector<TensorInfo>& tensors() const {
    return stored->index().tensors;
  }
  // Nullptr if there is none of this name.
  const TensorInfo* Find(absl::string_view name) const {
    const auto it = by_name.find(name);
    return it == by_name.end() ? nullptr : &tensors()[it->second];
  }
  // quantization_config; nullptr if there is none.
  const Json* quantization() const {
    return config.has_value() ? config->quantization() : nullptr;
  }
};

// "model.layers.0.fc" of "model.layers.0.fc.weight".
absl::string_view ModuleOfWeight(absl::string_view weight);

// True for matrices "M.weight" of floats that a Linear layer multiplies by, as
// far as names tell.
bool IsLinearWeight(const TensorInfo& tensor);

// Text, number or flag under `key` of an object; null if there is none, or if
// `json` is null or no object.
const std::string* TextOf(const Json* json, absl::string_view key);
const int64_t* IntegerOf(const Json* json, absl::string_view key);
const bool* FlagOf(const Json* json, absl::string_view key);
// Any value but null.
const Json* EntryOf(const Json* json, absl::string_view key);

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_SUBJECT_H_
