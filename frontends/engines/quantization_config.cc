#include "frontends/engines/quantization_config.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "frontends/engines/awq.h"
#include "frontends/engines/bitsandbytes.h"
#include "frontends/engines/compressed_tensors.h"
#include "frontends/engines/engine_weights.h"
#include "frontends/engines/gptq.h"
#include "frontends/engines/torchao.h"
#include "frontends/model_config.h"
#include "frontends/name_list.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A value of quant_method, and who finds its weights.
struct Method {
  absl::string_view name;
  absl::Status (*find)(EngineWeights* weights);
};

constexpr Method kMethods[] = {
    {"compressed-tensors", FindCompressedTensorsWeights},
    {"gptq", FindGptqWeights},
    {"awq", FindAwqWeights},
    {"bitsandbytes", FindBitsandbytesWeights},
    {"torchao", FindTorchaoWeights},
};

// Whether there are tensors of such names as these methods give. Without any,
// config.json is not looked at.
bool MayBeQuantized(const CheckpointIndex& index) {
  return std::any_of(
      index.tensors.begin(), index.tensors.end(), [](const TensorInfo& info) {
        for (const absl::string_view suffix :
             {".qweight", ".qzeros", ".weight_packed", ".weight_scale",
              ".absmax", ".quant_map", ".quant_state.bitsandbytes__nf4",
              ".quant_state.bitsandbytes__fp4", ".SCB", ".weight_format",
              "_qdata", "._weight_scale", "._weight_zero_point"}) {
          if (absl::EndsWith(info.name, suffix)) return true;
        }
        return false;
      });
}

const Method* FindMethod(const Json* quantization) {
  const Json* member =
      quantization == nullptr ? nullptr : quantization->Find("quant_method");
  if (member == nullptr || member->AsString() == nullptr) return nullptr;
  for (const Method& method : kMethods) {
    if (method.name == *member->AsString()) return &method;
  }
  return nullptr;
}

// The float type of the model; nullopt if it is not said, or in another way.
std::optional<DType> DTypeOf(const Json& config) {
  constexpr struct {
    absl::string_view name;
    DType dtype;
  } kTypes[] = {{"float16", DType::kF16},
                {"bfloat16", DType::kBF16},
                {"float32", DType::kF32},
                {"float64", DType::kF64}};
  for (const char* key : {"dtype", "torch_dtype"}) {
    const Json* member = config.Find(key);
    if (member == nullptr || member->AsString() == nullptr) continue;
    const absl::string_view name =
        absl::StripPrefix(*member->AsString(), "torch.");
    for (const auto& type : kTypes) {
      if (type.name == name) return type.dtype;
    }
  }
  return std::nullopt;
}

// A reader with another index of the same tensors.
class RecordedReader : public CheckpointReader {
 public:
  RecordedReader(std::unique_ptr<CheckpointReader> base, CheckpointIndex index)
      : base_(std::move(base)), index_(std::move(index)) {}

  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    return base_->Read(tensor, first, count, dst);
  }
  std::optional<FileExtent> Locate(size_t tensor) const override {
    return base_->Locate(tensor);
  }

 private:
  const std::unique_ptr<CheckpointReader> base_;
  const CheckpointIndex index_;
};

std::string NoteOn(absl::string_view method,
                   const std::vector<QuantizedTensor>& tensors) {
  NameList names;
  for (const QuantizedTensor& tensor : tensors) {
    names.Add(tensor.name, names.IsFull() ? "" : SchemeToString(tensor.scheme));
  }
  return absl::StrCat("weights in the format of ", method,
                      ", as config.json says (", names.count(),
                      "): ", names.ToString());
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> ApplyQuantizationConfig(
    std::unique_ptr<CheckpointReader> reader, const CheckpointFiles& files,
    std::vector<absl::Status>* problems) {
  if (!reader->index().quant.empty() || !MayBeQuantized(reader->index())) {
    return reader;
  }
  MQ_ASSIGN_OR_RETURN(
      const std::optional<ModelConfig> config,
      ReadModelConfig(files, "says how the weights are quantized"));
  if (!config.has_value()) return reader;
  const Method* method = FindMethod(config->quantization());
  if (method == nullptr) return reader;
  EngineWeights weights(*reader, config->name, *config->quantization(),
                        DTypeOf(config->json), problems);
  absl::Status status = method->find(&weights);
  if (!status.ok()) {
    const bool is_of_weights =
        absl::IsDataLoss(status) || absl::IsUnimplemented(status);
    if (problems == nullptr || !is_of_weights) return status;
    problems->push_back(std::move(status));
  }
  std::vector<QuantizedTensor> tensors = std::move(weights).Take();
  if (tensors.empty()) return reader;
  CheckpointIndex index = reader->index();
  index.notes.push_back(NoteOn(method->name, tensors));
  index.quant.tensors = std::move(tensors);
  MQ_RETURN_IF_ERROR(ValidateIndex(index));
  return std::make_unique<RecordedReader>(std::move(reader), std::move(index));
}

}  // namespace monoquant
