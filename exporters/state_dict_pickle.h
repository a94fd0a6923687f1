// The pickle of a torch archive: which tensor is made of which storage.

#ifndef MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_
#define MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_

#include "absl/status/statusor.h"
#include "exporters/torch_pickler.h"
#include "ir/manifest.h"

namespace monoquant {

// An OrderedDict from name to contiguous tensor, in the manifest's order.
// torch.load(weights_only=True) reads it.
//
// FailedPrecondition, naming the tensor, for what torch does not have; see
// torch_pt.h.
absl::StatusOr<TorchPickle> PickleStateDict(const Manifest& manifest);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_
