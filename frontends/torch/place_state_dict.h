// From the tensors that a pickle describes to tensors that can be read: what
// the containers around a pickle have in common.

#ifndef MONOQUANT_FRONTENDS_TORCH_PLACE_STATE_DICT_H_
#define MONOQUANT_FRONTENDS_TORCH_PLACE_STATE_DICT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/state_dict.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Runs `pickle`. In messages, `file` is the file and `part` where in it the
// pickle lies ("member 'm/data.pkl'"), if that is not all of it. Refuses
// dangerous calls unless options.allow_opaque.
absl::StatusOr<PickleGraph> ReadCheckpointPickle(std::string pickle,
                                                 absl::string_view file,
                                                 absl::string_view part,
                                                 const OpenOptions& options);

// Finds the weights in a pickle, which is used up.
absl::StatusOr<StateDict> FindWeights(PickleGraph graph, absl::string_view file,
                                      const OpenOptions& options);

// Both in one, for a pickle that has `pickle` to itself.
absl::StatusOr<StateDict> ReadStateDict(std::string pickle,
                                        absl::string_view file,
                                        absl::string_view part,
                                        const OpenOptions& options);

// The storage that a pickle calls `key`. Asked once for every key. Errors name
// neither file nor tensor.
using FindStorage =
    std::function<absl::StatusOr<std::shared_ptr<const Storage>>(
        absl::string_view key)>;

// Appends the tensors of `state_dict` to `index->tensors` and `placed`, its
// root and notes to `index`, and to its record the weights of quantized modules
// (NamedTensor::is_module_weight) that are listed as codes, of QuantStorage::
// kTorchQuantized; then their parameters are read. `file` names the file in
// messages; `big_endian`: how it writes numbers.
absl::Status PlaceStateDict(const StateDict& state_dict, absl::string_view file,
                            const FindStorage& find, bool big_endian,
                            CheckpointIndex* index,
                            std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PLACE_STATE_DICT_H_
