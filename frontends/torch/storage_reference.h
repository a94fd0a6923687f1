// References to storages: the persistent ids in torch's pickles.

#ifndef MONOQUANT_FRONTENDS_TORCH_STORAGE_REFERENCE_H_
#define MONOQUANT_FRONTENDS_TORCH_STORAGE_REFERENCE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_graph.h"
#include "ir/dtype.h"

namespace monoquant {

// ('storage', class, key, location, numel), which legacy streams follow by
// (view key, offset, numel) where the object is but a part of the storage.
struct StorageReference {
  std::string key;
  // The class's element type; U8 for UntypedStorage.
  DType dtype = DType::kU8;
  uint64_t bytes = 0;  // of the whole storage
  // The part that the object is, if it is not all: it lies inside of `bytes`.
  struct Part {
    uint64_t offset;
    uint64_t bytes;
  };
  std::optional<Part> part;

  uint64_t item_size() const {
    return static_cast<uint64_t>(GetDTypeInfo(dtype).bits / 8);
  }
};

// True for the persistent id of a storage, be it well-formed or not. Legacy
// streams have those of classes too: see ClassOf in python_values.h.
bool IsStorageReference(const PickleGraph& graph, NodeId node);

// DataLoss if it is malformed, Unimplemented for an unknown class of storage.
// Names neither file nor tensor.
absl::StatusOr<StorageReference> ReadStorageReference(const PickleGraph& graph,
                                                      NodeId node);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_STORAGE_REFERENCE_H_
