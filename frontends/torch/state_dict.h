// Which tensors of a pickle are the weights, and what they are called.

#ifndef MONOQUANT_FRONTENDS_TORCH_STATE_DICT_H_
#define MONOQUANT_FRONTENDS_TORCH_STATE_DICT_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/torch/rebuild.h"
#include "ir/checkpoint.h"

namespace monoquant {

struct NamedTensor {
  // As state_dict() would name it.
  std::string name;
  TorchTensor tensor;
  // Class of the module that owns it, if the pickle holds modules.
  std::string module_kind;
  // Whether it is the quantized weight of a module of torch.ao.nn.quantized
  // (quantized_modules.h).
  bool is_module_weight = false;
};

struct StateDict {
  // Path of the dict that was taken as the state dict; empty for the top.
  std::string root;
  // In the pickle's order.
  std::vector<NamedTensor> tensors;
  // What the tensors that are is_inline() are parts of.
  // ReadStateDict provides it.
  std::shared_ptr<const std::string> inline_bytes;
  // Whether tensors that torch quantized are listed as codes and parameters,
  // and not as the floats that they stand for. ReadStateDict sets it.
  bool as_stored = false;
  // CheckpointIndex::globals.
  std::vector<std::string> globals;
  // What was left out, and why.
  std::vector<std::string> notes;
};

// What a pickle may make of the walk; each is named in its error.
struct StateDictLimits {
  size_t nesting = 1000;
  IndexLimits index;
  // Tensors that torch quantized: they come with parameters, which take memory
  // too.
  size_t quantized = 100'000;
  // Values looked at for a second time or more: a pickle can refer to the same
  // ones again and again. (How many there are is limited by ReadPickle.)
  size_t revisits = 2'000'000;
  // Attributes of tensors, which may share them too.
  size_t attributes = 10'000'000;
  // Entries of a value and of all that it is nested in.
  size_t open_entries = 2'000'000;
};

// Finds the tensors under `root` of the pickled value; with an empty `root`,
// under the entry that holds the weights of a training checkpoint ("model",
// "state_dict", ...) or, if there is none, everywhere but in the state of
// optimizers and the like. "." means everywhere.
//
// Dicts, lists and the attributes of objects are joined by dots; modules (a
// pickled model) give the names of their state_dict(). No class is needed.
//
// InvalidArgument if there is no such root; DataLoss for malformed tensors and
// limits. Errors name the tensor, not the file.
absl::StatusOr<StateDict> FindStateDict(const PickleGraph& graph,
                                        absl::string_view root,
                                        const StateDictLimits& limits = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_STATE_DICT_H_
