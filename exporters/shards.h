// Spreads the tensors of an output over several files, each of which is a
// complete file of its format.
//
// A plan and a job know one manifest; what lies in which file is decided here,
// beside them. An index, as Hugging Face's libraries write it, says which file
// holds which tensor.

#ifndef MONOQUANT_EXPORTERS_SHARDS_H_
#define MONOQUANT_EXPORTERS_SHARDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "exporters/exporter.h"
#include "ir/manifest.h"

namespace monoquant {

// Readers accept no more.
inline constexpr size_t kMaxOutputShards = 10'000;

// One file. Its manifest is complete by itself: the record is that of its own
// tensors (but there, if the whole has one), and ties stay inside.
struct Shard {
  Manifest manifest;
  // For each of its tensors the index in the whole manifest; ascending.
  std::vector<size_t> outputs;
  // Of its tensors; tied ones count once.
  uint64_t payload_bytes = 0;
  // ShardByGroup only: which group it is.
  size_t group = 0;
};

// Both keep together what needs each other: tied tensors, and codes with their
// scales and zero points.

// One shard for each group that has tensors, in the order of the groups.
// group[i] is the one that tensor i is to go to; of tensors that stay together
// the first one decides.
std::vector<Shard> ShardByGroup(const Manifest& manifest,
                                absl::Span<const size_t> group);

// Fills shards in the order of the tensors: the next one begins where a tensor,
// with what stays with it, would exceed `max_bytes` of payload. What is larger
// alone has a shard of its own. There is at least one shard.
//
// InvalidArgument if there would be more than kMaxOutputShards.
absl::StatusOr<std::vector<Shard>> ShardBySize(const Manifest& manifest,
                                               uint64_t max_bytes);

// "model-00002-of-00010.safetensors" for shard 1 of 10; "model.safetensors" for
// the only one.
std::string ShardFileName(absl::string_view stem, absl::string_view extension,
                          size_t shard, size_t count);

// "model.safetensors.index.json".
std::string ShardIndexFileName(absl::string_view stem,
                               absl::string_view extension);

// The text of the index: the payload of all shards as "total_size", and to each
// tensor, by name, the file of its shard; files[i] is that of shards[i].
std::string ShardIndexToJson(absl::Span<const Shard> shards,
                             absl::Span<const std::string> files,
                             const FileNaming& naming);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_SHARDS_H_
