#include "frontends/torch/packed_names.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/torch/place_quantized.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/torch_ao.h"

namespace monoquant {
namespace {

bool IsPacked(const QuantizedTensor& tensor) {
  return tensor.storage == QuantStorage::kTorchAo &&
         HasScales(tensor.scheme.format);
}

std::optional<TorchAoWeight> Parse(const QuantizedTensor& tensor) {
  return ParseTorchAoWeight(tensor.name, tensor.shape, tensor.scheme.format);
}

// From the paths in the pickle (packed_params.h) to names; "" for what is left
// out. Only of paths that are there: a record may tell of many that are not.
class Names {
 public:
  Names(const QuantRecord& record, const CheckpointIndex& index) {
    for (const TensorInfo& info : index.tensors) names_[info.name];
    for (const QuantizedTensor& tensor : record.tensors) {
      const auto weight = Parse(tensor);
      if (weight.has_value() && weight->reverse) {
        bidirectional_.insert(weight->module);
      }
    }
    for (const QuantizedTensor& tensor : record.tensors) {
      const auto weight = Parse(tensor);
      if (IsPacked(tensor) && weight.has_value()) Add(tensor, *weight);
    }
  }

  // Null for a path that is no part of a packed module.
  const std::string* Find(absl::string_view path) const {
    const auto it = names_.find(path);
    if (it == names_.end() || !it->second.has_value()) return nullptr;
    return &*it->second;
  }

 private:
  void Put(absl::string_view path, std::string name) {
    const auto it = names_.find(path);
    if (it != names_.end()) it->second = std::move(name);
  }

  void Add(const QuantizedTensor& tensor, const TorchAoWeight& weight) {
    const std::string& module = weight.module;
    const std::string place = weight.hidden ? "1" : "0";
    // Of a pair of weight and bias.
    std::string packed;
    switch (weight.kind) {
      case TorchAoModule::kLinear:
        packed = absl::StrCat(module, "._packed_params._packed_params");
        PutOutput(module);
        break;
      case TorchAoModule::kRecurrent: {
        const size_t cell = weight.Cell(bidirectional_.contains(module));
        const std::string param =
            absl::StrCat(module, "._all_weight_values.", cell, ".param");
        packed = absl::StrCat(param, ".4.", place);
        // torch computes with the bias that is packed with the weight.
        Put(absl::StrCat(param, ".1.", place), "");
        break;
      }
      case TorchAoModule::kCell:
        packed = absl::StrCat(module, "._packed_weight_",
                              weight.hidden ? "hh" : "ih");
        break;
      case TorchAoModule::kConvolution:
        PutCodes(absl::StrCat(module, ".weight"), tensor);
        PutOutput(module);
        return;
      case TorchAoModule::kEmbedding:
        PutCodes(absl::StrCat(module, "._packed_params._packed_weight"),
                 tensor);
        return;
    }
    PutCodes(absl::StrCat(packed, ".0"), tensor);
    Put(absl::StrCat(packed, ".1"), weight.bias);
  }

  // The quantized tensor at this path.
  void PutCodes(const std::string& path, const QuantizedTensor& tensor) {
    Put(path, tensor.codes_name());
    Put(absl::StrCat(path, ".scale"), tensor.scale);
    Put(absl::StrCat(path, ".zero_point"), tensor.zero_point);
  }

  // Scale and zero point of the output.
  void PutOutput(const std::string& module) {
    Put(absl::StrCat(module, ".scale"), "");
    Put(absl::StrCat(module, ".zero_point"), "");
  }

  absl::flat_hash_map<std::string, std::optional<std::string>> names_;
  absl::flat_hash_set<std::string> bidirectional_;
};

}  // namespace

bool HasPackedModules(const QuantRecord& record) {
  return std::any_of(record.tensors.begin(), record.tensors.end(), IsPacked);
}

void NamePackedTensors(const QuantRecord& record, CheckpointIndex* index,
                       std::vector<PlacedTensor>* placed) {
  const Names names(record, *index);
  size_t kept = 0;
  for (size_t i = 0; i < index->tensors.size(); ++i) {
    TensorInfo& info = index->tensors[i];
    const std::string* name = names.Find(info.name);
    if (name != nullptr && name->empty()) continue;
    if (name != nullptr) {
      info.name = *name;
      // That of what it is packed in.
      info.module_kind.clear();
      if (info.dtype == DType::kQI8) info.dtype = DType::kI8;
      if (info.dtype == DType::kQU8) info.dtype = DType::kU8;
    }
    if (kept != i) {
      index->tensors[kept] = std::move(info);
      (*placed)[kept] = std::move((*placed)[i]);
    }
    ++kept;
  }
  index->tensors.resize(kept);
  placed->resize(kept);
  std::erase_if(index->notes, [](const std::string& note) {
    return absl::StartsWith(note, kQuantizedByTorch);
  });
}

}  // namespace monoquant
