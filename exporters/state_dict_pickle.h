// The pickle of a torch archive: which tensor is made of which storage.

#ifndef MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_
#define MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/manifest.h"

namespace monoquant {

// An OrderedDict from name to contiguous tensor, in the manifest's order.
// Tensor i is all of the storage whose key is the number storage[i]; tied
// tensors have the same one. torch.load(weights_only=True) reads it.
//
// FailedPrecondition, naming the tensor, for what torch does not have; see
// torch_pt.h.
absl::StatusOr<std::string> PickleStateDict(const Manifest& manifest,
                                            absl::Span<const size_t> storage);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_STATE_DICT_PICKLE_H_
