// safetensors checkpoints: one file, or shards with an index.

#ifndef MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_
#define MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "frontends/safetensors/shard_index.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// The key under which monoquant lists tied tensors in the metadata, as a JSON
// object {"other name": "name in the file"}. The format itself cannot share
// bytes. safetensors.torch.save_model writes such pairs as metadata entries of
// their own; monoquant writes those too, for torch, but does not guess from
// them.
inline constexpr absl::string_view kSafetensorsTiesKey = "monoquant.ties";

inline constexpr ContainerKind kSafetensorsKinds[] = {
    {"safetensors", "a plausible header size and `{` behind it",
     "one file, or a directory with one file"},
};

// True for a file that begins like safetensors.
absl::StatusOr<bool> IsSafetensorsFile(const CheckpointFiles& files);

// Opens a single file.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsFile(
    const CheckpointFiles& files, const OpenOptions& options);

// Opens the shards of an index, in its order. Tensors that are in a shard but
// not in the index are left out and noted.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsShards(
    const CheckpointFiles& files, const ShardIndex& shard_index,
    const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_
