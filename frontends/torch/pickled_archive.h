// The tensors of an archive around data.pkl: torch.save's, and TorchScript's
// since 1.3.

#ifndef MONOQUANT_FRONTENDS_TORCH_PICKLED_ARCHIVE_H_
#define MONOQUANT_FRONTENDS_TORCH_PICKLED_ARCHIVE_H_

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

// The root under which the constants are found that are no part of a module's
// state: those of TorchScript's code and of exported programs.
inline constexpr absl::string_view kConstantsRoot = "constants";

// What the weights of modules are called that torch quantized.
enum class ModuleNames {
  kStored,  // by their paths in the pickle
  // As in the float model (quantized_modules.h), and recorded in the index.
  // Nothing else may be done to the names then. Not with as_stored.
  kFloat,
};

// Appends the tensors of `archive` to `index->tensors` and `placed`; sets the
// index's root and adds notes. TorchScript's constants are read with the root
// "constants", with the root "." as constants.0, constants.1, ..., and without
// a root if there is nothing else, as in frozen modules.
absl::Status ReadPickledArchive(const TorchArchive& archive,
                                const OpenOptions& options, ModuleNames names,
                                CheckpointIndex* index,
                                std::vector<PlacedTensor>* placed);

// The same for the archive of torch.save that is the member `member` of
// `outer`, with the names that are stored.
absl::Status ReadInnerArchive(const TorchArchive& outer, size_t member,
                              const OpenOptions& options,
                              CheckpointIndex* index,
                              std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PICKLED_ARCHIVE_H_
