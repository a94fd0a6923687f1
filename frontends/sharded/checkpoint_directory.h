// Which file of a directory is its checkpoint.

#ifndef MONOQUANT_FRONTENDS_SHARDED_CHECKPOINT_DIRECTORY_H_
#define MONOQUANT_FRONTENDS_SHARDED_CHECKPOINT_DIRECTORY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/byte_source.h"

namespace monoquant {

// True if the file is an index of shards, by its name.
bool IsIndexName(absl::string_view name);

// True if a file of the directory has the name of a checkpoint or of an index.
bool HasCheckpoint(const CheckpointFiles& files);

// The name of the index or, without one, of the only checkpoint in a directory
// that HasCheckpoint. Safetensors win over the same weights as pickles;
// optimizers and the like, which training programs save beside the model, do
// not count. Unimplemented, naming them, if several files could be meant.
absl::StatusOr<std::string> FindCheckpoint(const CheckpointFiles& files);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SHARDED_CHECKPOINT_DIRECTORY_H_
