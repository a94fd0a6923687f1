// The index of a checkpoint that is spread over several files.

#ifndef MONOQUANT_FRONTENDS_SAFETENSORS_SHARD_INDEX_H_
#define MONOQUANT_FRONTENDS_SAFETENSORS_SHARD_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant {

// {"metadata": {...}, "weight_map": {"tensor": "shard", ...}}
struct ShardIndex {
  // What error messages call the index.
  std::string path;
  // Bare file names, sorted.
  std::vector<std::string> shards;
  // The mapped tensors, in the order of the index.
  std::vector<std::string> tensors;
  // Tensor to the position of its shard in `shards`.
  absl::flat_hash_map<std::string, size_t> shard_of;
  // metadata.total_size, the bytes of all tensors, as it is written; null if
  // there is none.
  Json total_size;

  // Whether the index maps the tensor to this shard.
  bool Maps(absl::string_view tensor, size_t shard) const {
    const auto it = shard_of.find(tensor);
    return it != shard_of.end() && it->second == shard;
  }
};

// Limits of an index; each is named in its error.
inline constexpr uint64_t kMaxShardIndexBytes = 100'000'000;
inline constexpr size_t kMaxShards = 10'000;

// True if the file is JSON and has a "weight_map" near its beginning.
absl::StatusOr<bool> IsShardIndex(const ByteSource& source);

// Reads an index. Shards must be named by bare names. DataLoss if the index is
// malformed or names anything else.
absl::StatusOr<ShardIndex> ParseShardIndex(const ByteSource& source);

// Reads an index whose shards are all among `files`: nothing outside the
// directory is opened. NotFound if a shard is missing.
absl::StatusOr<ShardIndex> ReadShardIndex(const ByteSource& source,
                                          const CheckpointFiles& files);

// DataLoss, naming them, if mapped tensors are not among those that were found
// in the shards that they are mapped to.
absl::Status CheckAllFound(const ShardIndex& index,
                           absl::Span<const TensorInfo> found);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SAFETENSORS_SHARD_INDEX_H_
