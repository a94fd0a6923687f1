// Which tensors of a distributed checkpoint are the weights, and what they are
// called: the rules of frontends/torch/root.h for a list of paths.

#ifndef MONOQUANT_FRONTENDS_DCP_DCP_NAMES_H_
#define MONOQUANT_FRONTENDS_DCP_DCP_NAMES_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/dcp/dcp_metadata.h"

namespace monoquant {

struct DcpChoice {
  struct Tensor {
    size_t item;
    std::string name;  // below the root
  };

  // Path of the dict that was taken as the state dict; empty for the top.
  std::string root;
  std::vector<Tensor> tensors;  // in the order of the items
  // What was left out, and why.
  std::vector<std::string> notes;
};

// Takes the tensors under `root`; with an empty `root`, those under the entry
// that customarily holds the weights ("model", "state_dict", ...) or, if there
// is none, all but the state of optimizers and the like. "." means all.
//
// InvalidArgument, naming no file, if there is no such root.
absl::StatusOr<DcpChoice> ChooseDcpTensors(absl::Span<const DcpItem> items,
                                           absl::string_view root);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_DCP_NAMES_H_
