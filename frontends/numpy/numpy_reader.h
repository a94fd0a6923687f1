// Bare pickles of NumPy arrays: what pickle.dump writes of a dict of weights.

#ifndef MONOQUANT_FRONTENDS_NUMPY_NUMPY_READER_H_
#define MONOQUANT_FRONTENDS_NUMPY_NUMPY_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kBarePickleKinds[] = {
    {"pickle", "a pickle without a container around it",
     "`pickle.dump` of NumPy arrays, in any protocol"},
};

// True for a file that begins as a pickle of protocol 2 or later does, and for
// one that is a pickle of protocol 0 or 1 as far as can be seen: those have no
// mark of their own, and look like text.
absl::StatusOr<bool> IsBarePickle(const CheckpointFiles& files);

// Reads the pickle, in which the arrays are, so all of the file; the limit on
// pickles is the limit on the file. Unimplemented, naming what it is, if there
// is no array in it or if it belongs to a container of torch's.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenBarePickle(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_NUMPY_NUMPY_READER_H_
