#include "frontends/torch/place_state_dict.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/read_range.h"
#include "frontends/torch/inline_bytes.h"
#include "frontends/torch/place_quantized.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// From a view of a storage to the same view of a part of it.
absl::Status MoveIntoPart(const TorchTensor& tensor, PlacedTensor* placed) {
  uint64_t end = 0;
  if (!CheckedAdd(*tensor.part_offset, tensor.storage_bytes, &end) ||
      end > placed->storage->size()) {
    return DataLossError("it lies in ", tensor.storage_bytes,
                         " bytes from byte ", *tensor.part_offset,
                         " on, but its storage has only ",
                         placed->storage->size());
  }
  placed->view.offset += *tensor.part_offset;
  return absl::OkStatus();
}

// Makes of `info`, the codes of a weight, plain integers that a record knows.
absl::Status RecordModuleWeight(const QuantScheme& scheme, TensorInfo* info,
                                QuantRecord* record) {
  constexpr QuantStorage kStorage = QuantStorage::kTorchQuantized;
  MQ_ASSIGN_OR_RETURN(const StoredWeight stored,
                      StoreWeight(kStorage, info->name, scheme, info->shape));
  info->dtype = stored.codes.dtype;
  record->tensors.push_back(
      RecordOf(info->name, scheme, kStorage, stored, DType::kF32, info->shape));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PickleGraph> ReadCheckpointPickle(std::string pickle,
                                                 absl::string_view file,
                                                 absl::string_view part,
                                                 const OpenOptions& options) {
  absl::StatusOr<PickleGraph> graph = ReadPickle(
      std::move(pickle), PickleLimits(),
      options.allow_opaque ? OpaqueCalls::kAllow : OpaqueCalls::kRefuse);
  if (graph.ok()) return graph;
  return Annotate(
      part.empty() ? std::string(file) : absl::StrCat(file, ": ", part),
      graph.status());
}

absl::StatusOr<StateDict> FindWeights(PickleGraph graph, absl::string_view file,
                                      const OpenOptions& options) {
  absl::StatusOr<StateDict> found = FindStateDict(graph, options.root);
  if (!found.ok()) return Annotate(file, found.status());
  found->as_stored = options.as_stored;
  const bool has_inline = std::any_of(
      found->tensors.begin(), found->tensors.end(),
      [](const NamedTensor& named) { return named.tensor.is_inline(); });
  if (has_inline) {
    const absl::Status taken = TakeInlineBytes(std::move(graph), &*found);
    if (!taken.ok()) return Annotate(file, taken);
  }
  return found;
}

absl::StatusOr<StateDict> ReadStateDict(std::string pickle,
                                        absl::string_view file,
                                        absl::string_view part,
                                        const OpenOptions& options) {
  const size_t size = pickle.size();
  MQ_ASSIGN_OR_RETURN(
      PickleGraph graph,
      ReadCheckpointPickle(std::move(pickle), file, part, options));
  const size_t consumed = graph.consumed();
  absl::StatusOr<StateDict> found =
      FindWeights(std::move(graph), file, options);
  if (found.ok() && consumed < size) {
    found->notes.push_back(
        absl::StrCat("bytes after the end of the pickle: ", size - consumed));
  }
  return found;
}

absl::Status PlaceStateDict(const StateDict& state_dict, absl::string_view file,
                            const FindStorage& find, bool big_endian,
                            CheckpointIndex* index,
                            std::vector<PlacedTensor>* placed) {
  index->root = state_dict.root;
  for (const std::string& global : state_dict.globals) {
    std::vector<std::string>& globals = index->globals;
    if (globals.size() < CheckpointIndex::kMaxGlobals &&
        std::find(globals.begin(), globals.end(), global) == globals.end()) {
      globals.push_back(global);
    }
  }
  index->notes.insert(index->notes.end(), state_dict.notes.begin(),
                      state_dict.notes.end());
  index->tensors.reserve(index->tensors.size() + state_dict.tensors.size());
  placed->reserve(placed->size() + state_dict.tensors.size());
  absl::flat_hash_map<absl::string_view, std::shared_ptr<const Storage>>
      storages;
  NameList longer;
  // Of NumPy arrays, of which each is a storage of its own.
  absl::flat_hash_map<NodeId, std::shared_ptr<const Storage>> arrays;
  const PlaceTorchTensor place_tensor =
      [&](const TorchTensor& tensor,
          TensorInfo* info) -> absl::StatusOr<PlacedTensor> {
    const auto with_name = [&](const absl::Status& status) {
      return WithTensor(file, info->name, status);
    };
    if (tensor.external_key.has_value()) {
      return with_name(
          DataLossError("it refers to a tensor that is not in the file"));
    }
    std::shared_ptr<const Storage>& storage =
        tensor.is_inline() ? arrays[tensor.inline_array]
                           : storages[tensor.storage_key];
    if (storage == nullptr && tensor.is_inline()) {
      storage = std::make_shared<MemoryStorage>(std::string(file), "pickle",
                                                state_dict.inline_bytes);
    } else if (storage == nullptr) {
      auto found = find(tensor.storage_key);
      if (!found.ok()) return with_name(found.status());
      storage = *std::move(found);
    }
    MQ_ASSIGN_OR_RETURN(
        PlacedTensor place,
        PlaceTensor(tensor, storage,
                    tensor.is_inline() ? tensor.big_endian : big_endian, info));
    if (tensor.part_offset.has_value()) {
      const absl::Status moved = MoveIntoPart(tensor, &place);
      if (!moved.ok()) return with_name(moved);
    } else if (storage->size() > tensor.storage_bytes) {
      longer.Add(info->name);
    }
    return place;
  };
  NameList quantized;
  NameList in_modules;
  ParamBudget params_left = kMaxModuleParams;
  for (const NamedTensor& named : state_dict.tensors) {
    const TorchTensor& tensor = named.tensor;
    TensorInfo info;
    info.name = named.name;
    info.module_kind = named.module_kind;
    MQ_ASSIGN_OR_RETURN(PlacedTensor place, place_tensor(tensor, &info));
    std::vector<PlacedParams> params;
    if (tensor.quantizer != nullptr &&
        (state_dict.as_stored || named.is_module_weight)) {
      MQ_ASSIGN_OR_RETURN(params,
                          PlaceParams(tensor, file, named.name, place_tensor));
    }
    std::optional<QuantScheme> scheme;
    if (named.is_module_weight && !state_dict.as_stored) {
      scheme = FindModuleScheme(tensor, named.name, params, &params_left);
      if (!scheme.has_value()) params.clear();
    }
    if (scheme.has_value()) {
      in_modules.Add(named.name,
                     in_modules.IsFull() ? "" : SchemeToString(*scheme));
      MQ_RETURN_IF_ERROR(RecordModuleWeight(*scheme, &info, &index->quant));
    } else if (tensor.quantizer != nullptr) {
      quantized.Add(named.name, DescribeQuantized(tensor));
      if (!state_dict.as_stored) {
        MQ_RETURN_IF_ERROR(
            PlaceAsFloats(tensor, file, place_tensor, &place, &info));
      }
    }
    placed->push_back(std::move(place));
    index->tensors.push_back(std::move(info));
    for (PlacedParams& param : params) {
      placed->push_back(std::move(param.placed));
      index->tensors.push_back(std::move(param.info));
    }
  }
  if (!quantized.empty()) {
    index->notes.push_back(absl::StrCat(
        kQuantizedByTorch,
        state_dict.as_stored ? "listed as codes, scale and zero point: "
                             : "read as the F32 values of the codes: ",
        quantized.ToString()));
  }
  if (!in_modules.empty()) {
    index->notes.push_back(
        absl::StrCat("weights of modules that torch quantized (",
                     in_modules.count(), "): ", in_modules.ToString()));
  }
  if (!longer.empty()) {
    index->notes.push_back(absl::StrCat(
        "storages have more bytes than the pickle says: ", longer.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
