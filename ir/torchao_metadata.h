// What torchao writes about its tensors into the text metadata of safetensors
// files:
//   "tensor_names"  a JSON list of all tensors as the model has them
//   "M.weight"      {"_type": "Int8Tensor", "_data": {...},
//                    "_tensor_data_names": ["qdata", "scale"]}, or
//                   {"_type": "Tensor"} of one that is stored as it is
// A tensor with parts is stored as these: M._weight_qdata, M._weight_scale. All
// files of a checkpoint have all of it: Transformers takes the list from the
// last one.

#ifndef MONOQUANT_IR_TORCHAO_METADATA_H_
#define MONOQUANT_IR_TORCHAO_METADATA_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
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

// The list of a checkpoint, of whose files each may have another part of it.
class TorchaoNames {
 public:
  // Adds those of a text under kTorchaoNamesKey that are not there yet. False,
  // and nothing is added, if it is no list of texts.
  bool Add(absl::string_view text);
  bool empty() const { return names_.empty(); }
  bool Has(absl::string_view name) const { return added_.contains(name); }
  // All of them, in the order in which they were added.
  std::string ToString() const;

 private:
  Json::Array names_;
  absl::flat_hash_set<std::string> added_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_TORCHAO_METADATA_H_
