// What monoquant knows about names in pickles.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_

#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// Today's name of a global: what Python 3 or torch renamed ("__builtin__",
// "torch.tensor") by a fixed table, everything else as it is.
PickleGlobal CanonicalGlobal(PickleGlobal global);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_NAMES_H_
