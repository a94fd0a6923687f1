// AOTInductor packages: compiled programs, whose weights lie in the compiled
// library unless they were told to be kept beside it.

#ifndef MONOQUANT_FRONTENDS_TORCH_EXPORT_AOTINDUCTOR_H_
#define MONOQUANT_FRONTENDS_TORCH_EXPORT_AOTINDUCTOR_H_

#include <vector>

#include "absl/status/status.h"
#include "frontends/frontend.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

// True if compiled programs are in the archive.
bool HasAotInductor(const TorchArchive& archive);

// Appends the weights that lie beside compiled programs:
//
//   data/aotinductor/NAME/weights_config.json
//                                   {tensor: [file, size, stride, offset]}
//   data/weights/weight_0, ...      archives of torch.save, of one tensor each
//
// Unimplemented if there are none. No library is ever loaded.
absl::Status ReadAotInductor(const TorchArchive& archive,
                             const OpenOptions& options, CheckpointIndex* index,
                             std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_EXPORT_AOTINDUCTOR_H_
