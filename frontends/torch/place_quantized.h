// torch's quantized tensors, placed to be read as floats or as they are stored.

#ifndef MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_
#define MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/tensors/affine_codes.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/rebuild.h"
#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"

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

// How many bytes FindModuleScheme may still read. A channel takes 16; where
// storages are larger than what is looked for in them, or compressed, it is
// more.
using ParamBudget = uint64_t;
// For all of one checkpoint.
inline constexpr ParamBudget kMaxModuleParams = uint64_t{512} << 20;

// The scheme of `tensor`, the weight `name` of a quantized module, if it can be
// shown as QuantStorage::kTorchQuantized has it: codes of QI8 or QU8, and
// scales that give the same values as float32. `params` are what PlaceParams
// has made of it. Whether it is symmetric, zero points tell: all parameters are
// read.
//
// nullopt for other tensors, beyond the budget, and where anything is wrong:
// who reads such a tensor as floats will find it.
std::optional<QuantScheme> FindModuleScheme(
    const TorchTensor& tensor, absl::string_view name,
    const std::vector<PlacedParams>& params, ParamBudget* budget);

// "QI8 per channel", for a report.
std::string DescribeQuantized(const TorchTensor& tensor);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PLACE_QUANTIZED_H_
