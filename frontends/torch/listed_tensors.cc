#include "frontends/torch/listed_tensors.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::Status ListedTensors::Add(absl::string_view name,
                                const std::string& member,
                                StridedTensor tensor) {
  std::shared_ptr<const Storage>& storage = storages_[member];
  if (storage == nullptr) {
    auto found = archive_.FindStorage(member);
    if (!found.ok()) {
      return Annotate(
          absl::StrCat(archive_.zip->name(), ": tensor ", QuotedName(name)),
          found.status());
    }
    storage = *std::move(found);
  }
  tensor.storage_bytes = storage->size();
  return Add(name, storage, archive_.big_endian, std::move(tensor));
}

absl::Status ListedTensors::Add(absl::string_view name,
                                std::shared_ptr<const Storage> storage,
                                bool big_endian, StridedTensor tensor) {
  TensorInfo info;
  info.name = std::string(name);
  MQ_ASSIGN_OR_RETURN(
      PlacedTensor placed,
      PlaceTensor(std::move(tensor), std::move(storage), big_endian, &info));
  return Add(std::move(info), std::move(placed));
}

absl::Status ListedTensors::Add(TensorInfo info, PlacedTensor placed) {
  MQ_RETURN_IF_ERROR(Annotate(archive_.zip->name(),
                              budget_.Add(info.name, info.shape.size())));
  index_->tensors.push_back(std::move(info));
  placed_->push_back(std::move(placed));
  return absl::OkStatus();
}

absl::Status KeepBelowRoot(absl::string_view file, absl::string_view root,
                           size_t first, CheckpointIndex* index,
                           std::vector<PlacedTensor>* placed) {
  if (root.empty() || root == ".") return absl::OkStatus();
  const std::string prefix = absl::StrCat(root, ".");
  size_t kept = first;
  for (size_t i = first; i < placed->size(); ++i) {
    std::string& name = index->tensors[i].name;
    if (!absl::StartsWith(name, prefix)) continue;
    name.erase(0, prefix.size());
    if (kept != i) {
      index->tensors[kept] = std::move(index->tensors[i]);
      (*placed)[kept] = std::move((*placed)[i]);
    }
    ++kept;
  }
  if (kept == first) {
    return InvalidArgumentError(file, ": there is nothing called ",
                                QuotedName(root), " in it");
  }
  index->tensors.resize(kept);
  placed->resize(kept);
  index->root = std::string(root);
  return absl::OkStatus();
}

}  // namespace monoquant
