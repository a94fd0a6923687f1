#include "frontends/sharded/sharded_reader.h"

#include <string>
#include <utility>

#include "frontends/safetensors/safetensors_header.h"
#include "frontends/safetensors/safetensors_reader.h"
#include "frontends/safetensors/shard_index.h"
#include "frontends/sharded/checkpoint_directory.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenIndex(
    const CheckpointFiles& files, const std::string& index_file,
    const OpenOptions& options, FileOpener open) {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(index_file));
  MQ_ASSIGN_OR_RETURN(const ShardIndex index, ReadShardIndex(*source, files));
  bool is_safetensors = true;
  if (!index.shards.empty()) {
    MQ_ASSIGN_OR_RETURN(const auto first, files.open(index.shards[0]));
    MQ_ASSIGN_OR_RETURN(is_safetensors, IsSafetensors(*first));
  }
  return is_safetensors ? OpenSafetensorsShards(files, index, options)
                        : OpenTorchShards(files, index, options, open);
}

}  // namespace

absl::StatusOr<bool> IsSharded(const CheckpointFiles& files) {
  if (files.is_directory) return HasCheckpoint(files);
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  return IsShardIndex(*source);
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSharded(
    const CheckpointFiles& files, const OpenOptions& options, FileOpener open) {
  if (!files.is_directory) return OpenIndex(files, files.main, options, open);
  MQ_ASSIGN_OR_RETURN(std::string name, FindCheckpoint(files));
  if (IsIndexName(name)) return OpenIndex(files, name, options, open);
  CheckpointFiles only = files;
  only.is_directory = false;
  only.main = std::move(name);
  return open(only, options);
}

}  // namespace monoquant
