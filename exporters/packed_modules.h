// The modules of a manifest that torch packs. Implementation of torch_ao.h.

#ifndef MONOQUANT_EXPORTERS_PACKED_MODULES_H_
#define MONOQUANT_EXPORTERS_PACKED_MODULES_H_

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ir/checkpoint.h"
#include "ir/manifest.h"
#include "ir/torch_ao.h"

namespace monoquant {

// A weight and its bias, as tensors of the manifest. There is no bias where it
// is kNoTie.
struct PackedWeight {
  size_t codes = kNoTie;
  size_t scale = kNoTie;
  size_t zero_point = kNoTie;
  size_t bias = kNoTie;
};

struct PackedModule {
  TorchAoModule kind = TorchAoModule::kLinear;
  std::string name;
  // One weight (HasOneWeight); or that of the input and the hidden one, and
  // such a pair for each direction of each layer.
  std::vector<std::array<PackedWeight, 2>> cells;

  // Every tensor of the manifest that it is made of.
  std::vector<size_t> Parts() const;
};

// In the order of their first weights in the record. FailedPrecondition, naming
// the tensor or the module, as in torch_ao.h.
absl::StatusOr<std::vector<PackedModule>> FindPackedModules(
    const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PACKED_MODULES_H_
