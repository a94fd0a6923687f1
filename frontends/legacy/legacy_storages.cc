#include "frontends/legacy/legacy_storages.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/storage_reference.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Those of classes are tuples as well, but say so.
bool MayBeStorage(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) != NodeKind::kPersistentId) return false;
  return graph.kind(graph.PersistentValue(node)) != NodeKind::kTuple ||
         IsStorageReference(graph, node);
}

absl::StatusOr<uint64_t> ReadCount(const ByteSource& source, uint64_t offset) {
  uint8_t bytes[8];
  MQ_RETURN_IF_ERROR(source.ReadAt(offset, absl::MakeSpan(bytes)));
  uint64_t value = 0;
  for (size_t i = 8; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

absl::StatusOr<LegacyStorages> FindLegacyStorages(const PickleGraph& object) {
  LegacyStorages storages;
  // Torch asks for a storage when the pickle comes by its persistent id; so
  // does this, whether or not it becomes part of the object.
  for (NodeId node = 0; node < object.size(); ++node) {
    if (!MayBeStorage(object, node)) continue;
    MQ_ASSIGN_OR_RETURN(StorageReference reference,
                        ReadStorageReference(object, node));
    const auto [it, inserted] = storages.try_emplace(
        std::move(reference.key),
        LegacyStorage{reference.bytes, reference.item_size()});
    if (!inserted && it->second.bytes != reference.bytes) {
      return DataLossError("storage ", QuotedName(it->first), " has ",
                           it->second.bytes,
                           " bytes in one place of the pickle and ",
                           reference.bytes, " in another");
    }
    if (storages.size() > kMaxLegacyStorages) {
      return DataLossError("more storages than the limit of ",
                           kMaxLegacyStorages);
    }
  }
  return storages;
}

absl::StatusOr<std::vector<std::string>> ReadLegacyKeys(
    const PickleGraph& list, const LegacyStorages& storages) {
  if (list.kind(list.root()) != NodeKind::kList) {
    return DataLossError(
        "a list of storages is expected behind the object, not a value of "
        "type ",
        NodeKindName(list.kind(list.root())));
  }
  std::vector<std::string> keys;
  absl::flat_hash_set<absl::string_view> seen;
  for (NodeId item : list.Items(list.root())) {
    const auto key = AsText(list, item);
    if (!key.has_value()) {
      return DataLossError(
          "a storage in the list has no name but a value of type ",
          NodeKindName(list.kind(item)));
    }
    const auto found = storages.find(*key);
    if (found == storages.end()) {
      return DataLossError(
          "storage ", QuotedName(*key),
          " is listed, but the object has nothing in it, so that "
          "its size is not known");
    }
    if (!seen.insert(found->first).second) {
      return DataLossError("storage ", QuotedName(*key), " is listed twice");
    }
    keys.emplace_back(*key);
  }
  if (keys.size() < storages.size()) {
    // In the order of their names, which the hash map does not have.
    std::vector<absl::string_view> missing;
    for (const auto& [key, storage] : storages) {
      if (!seen.contains(key)) missing.push_back(key);
    }
    Sort(missing);
    NameList names;
    for (const absl::string_view key : missing) names.Add(key);
    return DataLossError(
        "storages that the object uses are not in the list: ", names.ToString(),
        "; the file is damaged, download or copy it again");
  }
  return keys;
}

absl::StatusOr<uint64_t> LocateLegacyStorages(
    const ByteSource& source, uint64_t offset,
    const std::vector<std::string>& keys, LegacyStorages* storages) {
  const uint64_t file_size = source.size();
  for (const std::string& key : keys) {
    LegacyStorage& storage = storages->find(key)->second;
    const auto truncated = [&] {
      return DataLossError(absl::StrCat(
          source.name(), " is truncated: storage ", QuotedName(key), " takes ",
          storage.bytes, " bytes behind byte ", offset,
          ", but the file has only ", file_size,
          "; download or copy it again"));
    };
    uint64_t end = 0;
    if (!CheckedAdd(offset, 8, &storage.offset) || storage.offset > file_size) {
      return truncated();
    }
    MQ_ASSIGN_OR_RETURN(const uint64_t count, ReadCount(source, offset));
    const uint64_t expected = storage.bytes / storage.item_size;
    if (count != expected) {
      return DataLossError(
          absl::StrCat(source.name(), ": storage ", QuotedName(key), " has ",
                       static_cast<int64_t>(count), " elements at byte ",
                       offset, " but ", expected, " by the pickle"));
    }
    if (!CheckedAdd(storage.offset, storage.bytes, &end) || end > file_size) {
      return truncated();
    }
    offset = end;
  }
  return offset;
}

}  // namespace monoquant
