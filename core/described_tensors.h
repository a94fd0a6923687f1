// What the text metadata of a checkpoint says of its tensors.

#ifndef MONOQUANT_CORE_DESCRIBED_TENSORS_H_
#define MONOQUANT_CORE_DESCRIBED_TENSORS_H_

#include <string>
#include <utility>
#include <vector>

#include "ir/checkpoint.h"

namespace monoquant {

// CheckpointIndex::metadata for a checkpoint whose weights are no longer stored
// as they are in this one. torchao's files have in "tensor_names" the names of
// all their tensors, and under each name the class of the tensor; that is left
// out if there are weights of torchao's. Otherwise it is all of it.
std::vector<std::pair<std::string, std::string>> MetadataWithoutClasses(
    const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_DESCRIBED_TENSORS_H_
