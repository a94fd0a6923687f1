// Checkpoints that are spread over several files, and directories.

#ifndef MONOQUANT_FRONTENDS_SHARDED_SHARDED_READER_H_
#define MONOQUANT_FRONTENDS_SHARDED_SHARDED_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "frontends/sharded/torch_shards.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kShardedKinds[] = {
    {"safetensors-sharded",
     "JSON with a `weight_map`; a directory with an index",
     "safetensors shards, named by the index or its directory"},
    {"torch-sharded", "JSON with a `weight_map`; a directory with an index",
     "shards of any other container, such as `pytorch_model-*.bin`"},
};

// True for a shard index, and for a directory that HasCheckpoint.
absl::StatusOr<bool> IsSharded(const CheckpointFiles& files);

// Opens the shards that an index names; of a directory those of its index or,
// without one, its only checkpoint. Which kind of shards they are is decided by
// the content of the first. NotFound for missing shards; Unimplemented where a
// directory could mean several checkpoints.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSharded(
    const CheckpointFiles& files, const OpenOptions& options, FileOpener open);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SHARDED_SHARDED_READER_H_
