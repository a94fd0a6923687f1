// safetensors checkpoints: one file, or shards with an index.

#ifndef MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_
#define MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
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
inline constexpr ContainerKind kSafetensorsShardedKinds[] = {
    {"safetensors-sharded",
     "JSON with a `weight_map`; a directory with an index",
     "shards, named by the index or its directory"},
};

// True for a file that begins like safetensors.
absl::StatusOr<bool> IsSafetensorsFile(const CheckpointFiles& files);

// Opens a single file.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsFile(
    const CheckpointFiles& files, const OpenOptions& options);

// True for a shard index, and for a directory that has one or any *.safetensors
// file.
absl::StatusOr<bool> IsSafetensorsDirectory(const CheckpointFiles& files);

// Opens the shards that an index names, or the only safetensors file of a
// directory that has no index. Tensors that are in a shard but not in the index
// are left out and noted. NotFound for missing shards; Unimplemented where a
// directory could mean several checkpoints.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsDirectory(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SAFETENSORS_SAFETENSORS_READER_H_
