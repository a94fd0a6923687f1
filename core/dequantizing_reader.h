// A quantized checkpoint seen as the float checkpoint that it stands for.

#ifndef MONOQUANT_CORE_DEQUANTIZING_READER_H_
#define MONOQUANT_CORE_DEQUANTIZING_READER_H_

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"

namespace monoquant {

struct DequantizeOptions {
  // Float type of the decoded tensors (F32, F16, BF16 or F64); nullopt: the one
  // that each had before it was quantized. Values are computed in float32 as
  // (code - zero_point) * scale and rounded to nearest even.
  std::optional<DType> dtype;
};

// Wraps `base`, which it keeps alive. The index lists the original tensors: the
// codes of a quantized tensor appear under its name with its original shape and
// a float type, its parameters disappear, everything else is as in `base`, but
// for what its text metadata says of how weights are stored.
// Tensors that share codes and parameters are still tied. The record of the
// result is empty.
//
// Nothing but the index is read before Read, which decodes on the fly, in small
// blocks with the parameters that they need: any range of a tensor of any size
// takes a few hundred KB beside its destination, or a few MB where codes are
// not stored row by row (CodeOrder).
//
// A checkpoint without a record passes through unchanged. InvalidArgument if
// options.dtype is no float type; DataLoss if the record does not describe the
// tensors.
absl::StatusOr<std::unique_ptr<CheckpointReader>> MakeDequantizingReader(
    std::shared_ptr<const CheckpointReader> base,
    const DequantizeOptions& options = {});

}  // namespace monoquant

#endif  // MONOQUANT_CORE_DEQUANTIZING_READER_H_
