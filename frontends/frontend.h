// Recognises a container by its content and opens it.

#ifndef MONOQUANT_FRONTENDS_FRONTEND_H_
#define MONOQUANT_FRONTENDS_FRONTEND_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

struct OpenOptions {
  // Which dict of a training checkpoint holds the weights ("model",
  // "state.ema"); empty: found by itself, and stated in CheckpointIndex::root;
  // ".": all of the checkpoint.
  std::string root;
};

// One kind of container.
struct Frontend {
  absl::string_view name;
  // True if these bytes are of this kind, by content alone: looks at a few
  // hundred bytes of the main file, or at the names in a directory. Claims
  // nothing about whether they are sound.
  absl::StatusOr<bool> (*recognises)(const CheckpointFiles& files);
  absl::StatusOr<std::unique_ptr<CheckpointReader>> (*open)(
      const CheckpointFiles& files, const OpenOptions& options);
};

// Every container that monoquant reads, in the order in which they are asked.
// To add one: a file of its own and one line in registry.cc.
absl::Span<const Frontend> AllFrontends();

// Opens a checkpoint of any container. Reads the index only.
//
// DataLoss for damaged or malformed files; Unimplemented for things that are
// recognisably something else (a web page, GGUF, an empty file), naming what
// they are and the next step; errors of the source are passed on.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(
    const CheckpointFiles& files, const OpenOptions& options = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_FRONTEND_H_
