// Which part of a training checkpoint holds the weights.

#ifndef MONOQUANT_FRONTENDS_TORCH_ROOT_H_
#define MONOQUANT_FRONTENDS_TORCH_ROOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

struct Root {
  NodeId node = kNoNode;
  // "model", "state.ema"; empty for the top level.
  std::string path;
  // What lies beside the root and is left out by choosing it.
  NameList left_out;
};

// Looks for the entry that customarily holds the weights: "state_dict",
// "model", ... The top level if there is none that has tensors.
Root GuessRoot(const PickleGraph& graph);

// The node at `path`, whose parts are joined by dots (and may contain some).
// InvalidArgument, saying what there is, if there is none.
absl::StatusOr<Root> FindRoot(const PickleGraph& graph, absl::string_view path);

// The names under which training programs customarily put the weights, in the
// order in which GuessRoot tries them.
absl::Span<const absl::string_view> CustomaryRootNames();

// True for the top-level names under which training programs keep what they
// need besides the weights to go on: "optimizer", "lr_scheduler", ...
bool IsTrainingState(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_ROOT_H_
