// The reader that all containers share whose tensors are views of storages.

#ifndef MONOQUANT_FRONTENDS_TENSORS_PLACED_READER_H_
#define MONOQUANT_FRONTENDS_TENSORS_PLACED_READER_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/tensors/placed_tensor.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Makes a reader of `placed`, which is parallel to `index.tensors`. Finds the
// ties, notes partial overlaps, and validates the index (ValidateIndex).
// `index.path` names the checkpoint in messages.
absl::StatusOr<std::unique_ptr<CheckpointReader>> MakePlacedReader(
    CheckpointIndex index, std::vector<PlacedTensor> placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_PLACED_READER_H_
