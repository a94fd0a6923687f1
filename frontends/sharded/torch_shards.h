// Shards that are checkpoints of their own: pytorch_model-00001-of-00002.bin.

#ifndef MONOQUANT_FRONTENDS_SHARDED_TORCH_SHARDS_H_
#define MONOQUANT_FRONTENDS_SHARDED_TORCH_SHARDS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "frontends/safetensors/shard_index.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// How a file is opened, whatever it is: OpenCheckpoint, which this room cannot
// name since the registry depends on it.
using FileOpener = absl::StatusOr<std::unique_ptr<CheckpointReader>> (*)(
    const CheckpointFiles& files, const OpenOptions& options);

// Opens every shard of an index with `open` and puts their tensors one behind
// the other. Ties within a shard are kept. Tensors that are in a shard but not
// in the index are left out and noted.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchShards(
    const CheckpointFiles& files, const ShardIndex& shard_index,
    const OpenOptions& options, FileOpener open);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SHARDED_TORCH_SHARDS_H_
