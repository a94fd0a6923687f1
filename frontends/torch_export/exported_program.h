// Exported programs: .pt2 archives of torch.export.save. The weights are those
// of the program's state dict. Its constants, which are no part of that, are
// read with the root "constants", and with the root "." as constants.NAME.
//
// An archive can hold several programs; their names are then the first part of
// those of their tensors.

#ifndef MONOQUANT_FRONTENDS_TORCH_EXPORT_EXPORTED_PROGRAM_H_
#define MONOQUANT_FRONTENDS_TORCH_EXPORT_EXPORTED_PROGRAM_H_

#include <vector>

#include "absl/status/status.h"
#include "frontends/frontend.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Archives of torch 2.8 and later, AOTInductor packages among them:
//
//   data/weights/NAME_weights_config.json    {"config": {tensor: {...}}}
//   data/weights/weight_0, ...               storages, as they are in memory
//   data/constants/NAME_constants_config.json, tensor_0, ...
absl::Status ReadExportedProgram(const TorchArchive& archive,
                                 const OpenOptions& options,
                                 CheckpointIndex* index,
                                 std::vector<PlacedTensor>* placed);

// Archives of torch 2.1 to 2.7, in which state dict and constants are archives
// of torch.save: serialized_state_dict.pt, serialized_constants.pt.
absl::Status ReadPickledExport(const TorchArchive& archive,
                               const OpenOptions& options,
                               CheckpointIndex* index,
                               std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_EXPORT_EXPORTED_PROGRAM_H_
