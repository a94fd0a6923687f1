// How exported programs describe a tensor in JSON.

#ifndef MONOQUANT_FRONTENDS_TORCH_EXPORT_TENSOR_META_H_
#define MONOQUANT_FRONTENDS_TORCH_EXPORT_TENSOR_META_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/tensors/placed_tensor.h"
#include "ir/json.h"

namespace monoquant {

// Reads a TensorMeta of torch's schema:
//
//   {"dtype": 7, "sizes": [{"as_int": 6}], "strides": [{"as_int": 1}],
//    "storage_offset": {"as_int": 0}, "layout": 7, ...}
//
// storage_bytes is left 0. DataLoss if it is malformed, Unimplemented for
// sizes that are expressions, layouts and types that are not read; neither
// names the file or the tensor.
absl::StatusOr<StridedTensor> ReadTensorMeta(const Json& json);

// The integers of a list, of at most kMaxDims. `what` names it in errors.
absl::StatusOr<std::vector<int64_t>> ReadDims(const Json* json,
                                              absl::string_view what);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_EXPORT_TENSOR_META_H_
