#include "frontends/torch/place_state_dict.h"

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_machine.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<StateDict> ReadStateDict(std::string pickle,
                                        absl::string_view file,
                                        absl::string_view part,
                                        const OpenOptions& options) {
  const size_t size = pickle.size();
  const absl::StatusOr<PickleGraph> graph = ReadPickle(std::move(pickle));
  if (!graph.ok()) {
    return Annotate(
        part.empty() ? std::string(file) : absl::StrCat(file, ": ", part),
        graph.status());
  }
  absl::StatusOr<StateDict> found = FindStateDict(*graph, options.root);
  if (!found.ok()) return Annotate(file, found.status());
  if (graph->consumed() < size) {
    found->notes.push_back(absl::StrCat("bytes after the end of the pickle: ",
                                        size - graph->consumed()));
  }
  return found;
}

absl::Status PlaceStateDict(const StateDict& state_dict, absl::string_view file,
                            const FindStorage& find, bool big_endian,
                            CheckpointIndex* index,
                            std::vector<PlacedTensor>* placed) {
  index->root = state_dict.root;
  index->notes.insert(index->notes.end(), state_dict.notes.begin(),
                      state_dict.notes.end());
  index->tensors.reserve(index->tensors.size() + state_dict.tensors.size());
  placed->reserve(placed->size() + state_dict.tensors.size());
  absl::flat_hash_map<absl::string_view, std::shared_ptr<const Storage>>
      storages;
  NameList longer;
  for (const NamedTensor& named : state_dict.tensors) {
    const TorchTensor& tensor = named.tensor;
    std::shared_ptr<const Storage>& storage = storages[tensor.storage_key];
    if (storage == nullptr) {
      auto found = find(tensor.storage_key);
      if (!found.ok()) {
        return Annotate(absl::StrCat(file, ": tensor ", QuotedName(named.name)),
                        found.status());
      }
      storage = *std::move(found);
    }
    if (storage->size() > tensor.storage_bytes) longer.Add(named.name);
    TensorInfo info;
    info.name = named.name;
    info.module_kind = named.module_kind;
    MQ_ASSIGN_OR_RETURN(PlacedTensor place,
                        PlaceTensor(tensor, storage, big_endian, &info));
    placed->push_back(std::move(place));
    index->tensors.push_back(std::move(info));
  }
  if (!longer.empty()) {
    index->notes.push_back(absl::StrCat(
        "storages have more bytes than the pickle says: ", longer.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
