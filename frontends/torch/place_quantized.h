// torch's quantized tensors, placed to be read as floats or as they are stored.

#ifndef MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_
#define MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/tensors/affine_codes.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/rebuild.h"
#include "ir/checkpoint.h"

namespace monoquant {

// How notes on such tensors begin.
inline constexpr absl::string_view kQuantizedByTorch = "quantized by torch, ";

// Places a tensor by its description. Fills in `info` but for the name, which
// messages use.
using PlaceTorchTensor = std::function<absl::StatusOr<PlacedTensor>(
    const TorchTensor& tensor, TensorInfo* info)>;

// Makes `placed`, the codes of `tensor`, one that reads as the F32 values that
// torch's dequantize() gives, and changes `info` accordingly. DataLoss, naming
// `file` and tensor, if the parameters do not fit the tensor.
absl::Status PlaceAsFloats(const TorchTensor& tensor, absl::string_view file,
                           const PlaceTorchTensor& place, PlacedTensor* placed,
                           TensorInfo* info);

// The parameters of `tensor`, whose name is `name`, as tensors of their own:
// NAME.scale and NAME.zero_point.
absl::StatusOr<std::vector<PlacedParams>> PlaceParams(
    const TorchTensor& tensor, absl::string_view file, absl::string_view name,
    const PlaceTorchTensor& place);

// "QI8 per channel", for a report.
std::string DescribeQuantized(const TorchTensor& tensor);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_
