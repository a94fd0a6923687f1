// The tables of a mobile module that tell of its weights. The schema is that
// of torch's mobile_bytecode.fbs: one list of values, to which everything
// refers by index, an object among them whose attributes are the module's, and
// the storages of all tensors.

#ifndef MONOQUANT_FRONTENDS_MOBILE_MOBILE_MODULE_H_
#define MONOQUANT_FRONTENDS_MOBILE_MOBILE_MODULE_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/mobile/flat_table.h"
#include "frontends/torch/state_dict.h"

namespace monoquant {

// How deep values may be nested, and how many are looked at: few bytes can
// refer to the same ones again and again.
inline constexpr size_t kMaxMobileNesting = 1000;
inline constexpr size_t kMaxMobileVisits = 2'000'000;

struct MobileModule {
  // TorchTensor::storage_key is an index in `storages`, in decimal.
  StateDict state_dict;
  std::vector<FlatVector> storages;
};

// Finds the tensors among the attributes of the module, their parts and so on,
// each with the name that its path gives. DataLoss, without the file's name,
// for anything malformed, Unimplemented for unknown types.
absl::StatusOr<MobileModule> ReadMobileModule(PagedFile* file);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_MOBILE_MOBILE_MODULE_H_
