// The storage classes that torch names in pickles.

#ifndef MONOQUANT_FRONTENDS_TORCH_STORAGE_TYPES_H_
#define MONOQUANT_FRONTENDS_TORCH_STORAGE_TYPES_H_

#include <optional>

#include "frontends/pickle/pickle_graph.h"
#include "ir/dtype.h"

namespace monoquant {

struct StorageType {
  // Absent for UntypedStorage, whose elements are bytes.
  std::optional<DType> dtype;
};

// "torch.FloatStorage", "torch.cuda.HalfStorage", ...; nullopt for any other
// class.
std::optional<StorageType> FindStorageType(const PickleGlobal& global);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_STORAGE_TYPES_H_
