// Pickles that are followed by other things, of whose size nothing is known
// before they are read.

#ifndef MONOQUANT_FRONTENDS_TORCH_STREAM_PICKLE_H_
#define MONOQUANT_FRONTENDS_TORCH_STREAM_PICKLE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/pickle/pickle_graph.h"
#include "ir/byte_source.h"

namespace monoquant {

// Reads the pickle that begins at byte `offset`, and of what follows not more
// than a few times its size. It ends at offset + PickleGraph::consumed.
// `what` says in messages which pickle it is: "the list of storages". Refuses
// what ReadCheckpointPickle refuses; DataLoss if the file ends before it does.
absl::StatusOr<PickleGraph> ReadPickleAt(const ByteSource& source,
                                         uint64_t offset,
                                         absl::string_view what,
                                         const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_STREAM_PICKLE_H_
