// What monoquant knows about names in pickles.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_

#include "absl/status/status.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// Today's name of a global: modules that Python 3 or torch renamed
// ("__builtin__", "torch.tensor") by a fixed table, everything else as it is.
PickleGlobal CanonicalGlobal(PickleGlobal global);

// OK unless a pickle that calls `global` is plainly an attack: the function
// starts programs, evaluates code or loads more of it. Nothing would be
// executed here, but such a file should not be passed on as if it were sound.
// DataLoss otherwise, without the file's name.
absl::Status CheckCall(const PickleGlobal& global);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_
