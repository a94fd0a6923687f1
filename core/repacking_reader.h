// A quantized checkpoint seen as another storage would hold it: the same codes,
// scales and zero points, under other names and in other bits.

#ifndef MONOQUANT_CORE_REPACKING_READER_H_
#define MONOQUANT_CORE_REPACKING_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "ir/checkpoint.h"
#include "ir/quant_storage.h"

namespace monoquant {

// Wraps `base`, which it keeps alive. In the place of the codes of a quantized
// weight the index lists all of its parts in `storage`; those that it has in
// `base` disappear, everything else is as in `base`. Tensors that share codes
// and parameters are still tied. The record says where the weights are now, and
// is otherwise that of `base`.
//
// A weight keeps its scheme, with two exceptions that change no value:
//   - where `storage` has no place for scales of their type, they have that of
//     DefaultScaleDType;
//   - where it has none for uint4 and uint8 but for int4 and int8, or the other
//     way round, all levels and zero points move by half of the range.
//
// If all weights are in `storage` already, or there are none, the result is
// `base`. That is all that can be had with kBitsandbytesNested, whose scales
// are rounded: elsewhere a scale becomes the float that its code stands for.
// Nothing but the index and the groups of columns (g_idx) is read before Read,
// which computes any range of any tensor in about 10 MB. A plan that copies the
// result (MakeCopyPlan) converts the checkpoint.
//
// FailedPrecondition, naming the weight and the remedy: `storage` has no place
// for its scheme, or one that outputs do not use (CheckWritable), or its groups
// are not runs of columns. Read gives the same error for a scale that is no
// number of its new type, and for a zero point that `storage` does not have.
// DataLoss if the record does not describe the tensors.
absl::StatusOr<std::shared_ptr<const CheckpointReader>> MakeRepackingReader(
    std::shared_ptr<const CheckpointReader> base, QuantStorage storage);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_REPACKING_READER_H_
