#include "frontends/torch/storage_reference.h"

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/torch/python_values.h"
#include "frontends/torch/storage_types.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using Items = absl::Span<const NodeId>;

// Many tensors can share one key. What each of them costs is bounded.
constexpr size_t kMaxStorageKey = 1000;

absl::Status Malformed() {
  return DataLossError("malformed reference to a storage");
}

// A part of the storage: (its own key, offset, numel) in elements, or None.
absl::Status ReadPart(const PickleGraph& graph, NodeId node,
                      StorageReference* storage) {
  if (graph.kind(node) != NodeKind::kTuple) return absl::OkStatus();
  const Items view = graph.Items(node);
  if (view.size() != 3) return Malformed();
  const auto offset = AsSize(graph, view[1]);
  const auto numel = AsSize(graph, view[2]);
  if (!offset.has_value() || !numel.has_value()) return Malformed();
  StorageReference::Part part;
  uint64_t end = 0;
  if (!CheckedMul(*offset, storage->item_size(), &part.offset) ||
      !CheckedMul(*numel, storage->item_size(), &part.bytes) ||
      !CheckedAdd(part.offset, part.bytes, &end) || end > storage->bytes) {
    return DataLossError("a view of ", *numel, " elements from ", *offset,
                         " on goes beyond its storage of ",
                         storage->bytes / storage->item_size());
  }
  storage->part = part;
  return absl::OkStatus();
}

}  // namespace

bool IsStorageReference(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) != NodeKind::kPersistentId) return false;
  const Items id = graph.Items(graph.PersistentValue(node));
  return !id.empty() && AsText(graph, id[0]) == "storage";
}

absl::StatusOr<StorageReference> ReadStorageReference(const PickleGraph& graph,
                                                      NodeId node) {
  const PickleGlobal* callee = graph.CalleeGlobal(node);
  if (callee != nullptr && callee->Is("torch.storage", "_load_from_bytes")) {
    return UnimplementedError(
        "its storage is a file inside of the pickle, as pickle.dump writes it; "
        "load it in Python and save it with torch.save");
  }
  if (graph.kind(node) != NodeKind::kPersistentId) return Malformed();
  const NodeId value = graph.PersistentValue(node);
  if (graph.kind(value) == NodeKind::kString) {
    // Protocol 0 turns the reference into its printed form.
    return UnimplementedError(
        "saved with pickle protocol 0, which torch cannot load either; save "
        "it again with protocol 2 or later");
  }
  const Items id = graph.Items(value);
  // The location, id[3], is where it was when it was saved: no concern here.
  if (id.size() < 5 || !IsStorageReference(graph, node)) return Malformed();
  const PickleGlobal* storage_class = graph.AsGlobal(id[1]);
  const auto numel = AsSize(graph, id[4]);
  if (storage_class == nullptr || !numel.has_value()) return Malformed();

  StorageReference storage;
  if (const auto key = AsText(graph, id[2])) {
    if (key->size() > kMaxStorageKey) return Malformed();
    storage.key = std::string(*key);
  } else if (const auto number = AsSize(graph, id[2])) {
    storage.key = absl::StrCat(*number);
  } else {
    return Malformed();
  }
  const auto type = FindStorageType(*storage_class);
  if (!type.has_value()) {
    return UnimplementedError(
        "storage class ",
        QuotedName(
            absl::StrCat(storage_class->module, ".", storage_class->name)),
        " is not known");
  }
  storage.dtype = type->dtype.value_or(DType::kU8);
  if (!CheckedMul(*numel, storage.item_size(), &storage.bytes)) {
    return Malformed();
  }
  if (id.size() > 5) {
    MQ_RETURN_IF_ERROR(ReadPart(graph, id[5], &storage));
  }
  return storage;
}

}  // namespace monoquant
