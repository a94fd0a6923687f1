// Files of `--to torch-ao` have weights where torch has them, in the packed
// parameters of its modules. Their record knows them by the names that they had
// before.

#ifndef MONOQUANT_FRONTENDS_TORCH_PACKED_NAMES_H_
#define MONOQUANT_FRONTENDS_TORCH_PACKED_NAMES_H_

#include <vector>

#include "frontends/tensors/placed_tensor.h"
#include "ir/checkpoint.h"
#include "ir/quant_record.h"

namespace monoquant {

// True if the record describes such a file. Its tensors are to be listed as
// they are stored: NAME (codes), NAME.scale, NAME.zero_point.
bool HasPackedModules(const QuantRecord& record);

// Gives the tensors of packed modules the names that `record` has for them, and
// their biases those of the float modules; codes become I8 or U8. Leaves out
// what the modules have besides, scale and zero point of an output and the
// second copy of a bias. What is not where torch has it stays, to be found by
// ValidateQuantRecord.
void NamePackedTensors(const QuantRecord& record, CheckpointIndex* index,
                       std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PACKED_NAMES_H_
