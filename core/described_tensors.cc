#include "core/described_tensors.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"
#include "ir/torchao_metadata.h"

namespace monoquant {
namespace {

bool IsDescribed(const QuantizedTensor& tensor) {
  return tensor.storage == QuantStorage::kTorchao ||
         tensor.storage == QuantStorage::kTorchaoBlocks;
}

// Adds the names in a text that is a list of them.
void AddListed(absl::string_view text, absl::flat_hash_set<std::string>* keys) {
  const absl::StatusOr<Json> list = ParseJson(text);
  if (!list.ok() || !list->is_array()) return;
  for (const Json& name : *list->AsArray()) {
    if (name.AsString() != nullptr) keys->insert(*name.AsString());
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> MetadataWithoutClasses(
    const CheckpointIndex& index) {
  const std::vector<QuantizedTensor>& weights = index.quant.tensors;
  if (!std::any_of(weights.begin(), weights.end(), IsDescribed)) {
    return index.metadata;
  }
  absl::flat_hash_set<std::string> keys = {std::string(kTorchaoNamesKey)};
  for (const TensorInfo& tensor : index.tensors) keys.insert(tensor.name);
  for (const QuantizedTensor& tensor : weights) keys.insert(tensor.name);
  for (const auto& [key, text] : index.metadata) {
    if (key == kTorchaoNamesKey) AddListed(text, &keys);
  }
  std::vector<std::pair<std::string, std::string>> metadata;
  for (const auto& entry : index.metadata) {
    if (!keys.contains(entry.first)) metadata.push_back(entry);
  }
  return metadata;
}

}  // namespace monoquant
