// The elements of tensors that a pickle holds itself.

#ifndef MONOQUANT_FRONTENDS_TORCH_INLINE_BYTES_H_
#define MONOQUANT_FRONTENDS_TORCH_INLINE_BYTES_H_

#include "absl/status/status.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/torch/state_dict.h"

namespace monoquant {

// Makes the tensors of `state_dict` that are is_inline() parts of
// StateDict::inline_bytes. Those are the pickle's own bytes, taken out of
// `graph`, so that nothing is held twice; not even elements that are written
// as text, since they take no more room than their text. DataLoss, naming the
// tensor, if they are not as many as its shape says.
absl::Status TakeInlineBytes(PickleGraph graph, StateDict* state_dict);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_INLINE_BYTES_H_
