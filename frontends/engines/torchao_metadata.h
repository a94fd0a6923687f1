// What torchao writes about its tensors into the text metadata of a safetensors
// file, which is the same for a whole checkpoint:
//   "tensor_names"  a JSON list of all tensors as the model has them
//   "M.weight"      {"_type": "Int8Tensor", "_data": {...},
//                    "_tensor_data_names": ["qdata", "scale"]}, or
//                   {"_type": "Tensor"} of one that is stored as it is
// A tensor with parts is stored as these: M._weight_qdata, M._weight_scale.

#ifndef MONOQUANT_FRONTENDS_ENGINES_TORCHAO_METADATA_H_
#define MONOQUANT_FRONTENDS_ENGINES_TORCHAO_METADATA_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ir/json.h"

namespace monoquant {

inline constexpr absl::string_view kTorchaoNamesKey = "tensor_names";
// The class of tensors without parts.
inline constexpr absl::string_view kTorchaoPlainClass = "Tensor";

// What the names of the parts of a tensor begin with: "a._weight_" of
// "a.weight". Empty for names without a dot, which torchao gives no parts.
std::string TorchaoPartsOf(absl::string_view name);

// The class of a tensor that a text describes; nullptr if it describes none.
const std::string* TorchaoClassOf(const Json& description);

// Its parts, "qdata" and so on; none if they are no list of texts.
std::vector<absl::string_view> TorchaoPartsListed(const Json& description);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ENGINES_TORCHAO_METADATA_H_
