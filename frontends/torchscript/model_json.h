// TorchScript of torch 1.0 to 1.2, whose archives describe the module and its
// tensors in model.json:
//
//   {"mainModule": {"parameters": [{"name", "tensorId", "isBuffer"}],
//                   "submodules": [{"name", ...}],
//                   "attributes": [{"name", "type", "id"}]},
//    "tensors": [{"dims", "strides", "offset", "dataType",
//                 "data": {"key": "tensors/0"}}]}
//
// This is the JSON form of a protobuf message: 64-bit integers are strings, and
// what has its default value may be missing.

#ifndef MONOQUANT_FRONTENDS_TORCHSCRIPT_MODEL_JSON_H_
#define MONOQUANT_FRONTENDS_TORCHSCRIPT_MODEL_JSON_H_

#include <vector>

#include "absl/status/status.h"
#include "frontends/frontend.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Appends the parameters and buffers under the names of state_dict(). The
// tensors that only code and attributes use are read with the root "constants",
// and with the root "." as constants.N, N being their place in the list.
absl::Status ReadModelJson(const TorchArchive& archive,
                           const OpenOptions& options, CheckpointIndex* index,
                           std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCHSCRIPT_MODEL_JSON_H_
