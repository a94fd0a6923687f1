#include "frontends/tar/tar_reader.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/tar/tar_directory.h"
#include "frontends/tar/tar_tables.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/place_state_dict.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/stream_pickle.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kMembers[] = {"sys_info", "pickle", "tensors",
                                          "storages"};

const TarMember* Find(const std::vector<TarMember>& members,
                      absl::string_view name) {
  for (const TarMember& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

// The one member `name`, as a source of its own.
absl::StatusOr<std::shared_ptr<const ByteSource>> OpenMember(
    std::shared_ptr<const ByteSource> source,
    const std::vector<TarMember>& members, absl::string_view name) {
  const TarMember* found = nullptr;
  for (const TarMember& member : members) {
    if (member.name != name) continue;
    if (found != nullptr) {
      return DataLossError(source->name(), ": it has two members ",
                           QuotedName(name), "; a checkpoint has one");
    }
    found = &member;
  }
  if (found == nullptr) {
    return DataLossError(source->name(), ": member ", QuotedName(name),
                         " is missing");
  }
  if (found->offset > source->size() ||
      found->size > source->size() - found->offset) {
    return DataLossError(
        absl::StrCat(source->name(), " is truncated: member ", QuotedName(name),
                     " takes ", found->size, " bytes from byte ", found->offset,
                     " on, but the file has only ", source->size(),
                     "; download or copy it again"));
  }
  std::string label =
      absl::StrCat(source->name(), ": member ", QuotedName(name));
  return SliceSource(std::move(source), found->offset, found->size,
                     std::move(label));
}

// Puts what the table says of them in place of the tensors' keys. The pickle
// may refer to storages in the same way; those are left out.
absl::Status ResolveKeys(const std::string& file, const TarTensors& tensors,
                         const TarStorages& storages, StateDict* state_dict) {
  std::vector<NamedTensor> resolved;
  resolved.reserve(state_dict->tensors.size());
  NameList left_out;
  for (NamedTensor& named : state_dict->tensors) {
    if (!named.tensor.external_key.has_value()) {
      resolved.push_back(std::move(named));
      continue;
    }
    const std::string& key = *named.tensor.external_key;
    const auto tensor = tensors.find(key);
    if (tensor != tensors.end()) {
      named.tensor = TorchTensor(tensor->second);
      resolved.push_back(std::move(named));
    } else if (storages.contains(key)) {
      left_out.Add(named.name);
    } else {
      return DataLossError(file, ": tensor ", QuotedName(named.name),
                           ": member 'tensors' has "
                           "no tensor ",
                           QuotedName(key));
    }
  }
  state_dict->tensors = std::move(resolved);
  if (!left_out.empty()) {
    state_dict->notes.push_back(absl::StrCat(
        "storages without a tensor, left out: ", left_out.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> IsTorchTar(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  MQ_ASSIGN_OR_RETURN(const bool is_tar, IsTar(*source));
  if (!is_tar) return false;
  const auto members = ReadTarDirectory(*source);
  // Broken, or too many: an archive of something else as far as anybody knows.
  if (!members.ok()) return false;
  for (const absl::string_view name : kMembers) {
    if (Find(*members, name) == nullptr) return false;
  }
  return true;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchTar(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  const std::string& file = source->name();
  MQ_ASSIGN_OR_RETURN(const std::vector<TarMember> members,
                      ReadTarDirectory(*source));
  MQ_ASSIGN_OR_RETURN(const auto storage_member,
                      OpenMember(source, members, "storages"));
  MQ_ASSIGN_OR_RETURN(const TarStorages storages,
                      ReadTarStorages(*storage_member, options));
  MQ_ASSIGN_OR_RETURN(const auto tensor_member,
                      OpenMember(source, members, "tensors"));
  MQ_ASSIGN_OR_RETURN(const TarTensors tensors,
                      ReadTarTensors(*tensor_member, storages, options));
  MQ_ASSIGN_OR_RETURN(const auto pickle_member,
                      OpenMember(source, members, "pickle"));
  MQ_ASSIGN_OR_RETURN(PickleGraph object,
                      ReadPickleAt(*pickle_member, 0, "the object", options));
  MQ_ASSIGN_OR_RETURN(StateDict state_dict,
                      FindWeights(std::move(object), file, options));
  MQ_RETURN_IF_ERROR(ResolveKeys(file, tensors, storages, &state_dict));

  CheckpointIndex index;
  index.container = "torch-tar";
  index.path = files.path;
  const uint64_t begin = Find(members, "storages")->offset;
  const auto find = [&](absl::string_view key)
      -> absl::StatusOr<std::shared_ptr<const Storage>> {
    const auto storage = storages.find(key);
    if (storage == storages.end()) {
      return DataLossError("storage ", QuotedName(key), " is not there");
    }
    return FileStorage::Create(source, files.main, std::string(key),
                               begin + storage->second.offset,
                               storage->second.bytes);
  };
  std::vector<PlacedTensor> placed;
  MQ_RETURN_IF_ERROR(PlaceStateDict(state_dict, file, find,
                                    /*big_endian=*/false, &index, &placed));
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
