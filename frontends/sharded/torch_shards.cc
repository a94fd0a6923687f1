#include "frontends/sharded/torch_shards.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "frontends/read_range.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A tensor's place: which shard, and its number there.
struct Place {
  size_t shard;
  size_t tensor;
};

class ShardedReader : public CheckpointReader {
 public:
  ShardedReader(CheckpointIndex index,
                std::vector<std::unique_ptr<CheckpointReader>> shards,
                std::vector<Place> places)
      : index_(std::move(index)),
        shards_(std::move(shards)),
        places_(std::move(places)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    MQ_RETURN_IF_ERROR(
        CheckReadRange(index_, tensor, first, count, dst.size()).status());
    const Place& place = places_[tensor];
    return shards_[place.shard]->Read(place.tensor, first, count, dst);
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= places_.size()) return std::nullopt;
    const Place& place = places_[tensor];
    return shards_[place.shard]->Locate(place.tensor);
  }

 private:
  const CheckpointIndex index_;
  const std::vector<std::unique_ptr<CheckpointReader>> shards_;
  const std::vector<Place> places_;  // parallel to index_.tensors
};

// Puts a reader together, shard by shard.
class Builder {
 public:
  Builder(const CheckpointFiles& files, const ShardIndex& shard_index)
      : files_(files), shard_index_(shard_index) {
    index_.container = "torch-sharded";
    index_.path = files.path;
  }

  absl::Status AddShard(const std::string& file, const OpenOptions& options,
                        FileOpener open);
  absl::StatusOr<std::unique_ptr<CheckpointReader>> Finish();

 private:
  const CheckpointFiles& files_;
  const ShardIndex& shard_index_;
  CheckpointIndex index_;
  std::vector<std::unique_ptr<CheckpointReader>> shards_;
  std::vector<Place> places_;
  // Of all shards together, mapped or not.
  IndexBudget budget_;
  NameList unmapped_;
};

absl::Status Builder::AddShard(const std::string& file,
                               const OpenOptions& options, FileOpener open) {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files_.open(file));
  // It could name itself.
  MQ_ASSIGN_OR_RETURN(const bool is_index, IsShardIndex(*source));
  if (is_index) {
    return DataLossError(source->name(), ": this shard is an index itself");
  }
  CheckpointFiles shard_files;
  shard_files.path = source->name();
  shard_files.main = file;
  shard_files.names = {file};
  shard_files.open = [source, file](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    if (name == file) return source;
    return NotFoundError(source->name(), ": a shard has no files beside it");
  };
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<CheckpointReader> reader,
                      open(shard_files, options));
  const CheckpointIndex& shard = reader->index();
  // A shard's record speaks of its own tensors.
  if (!shard.quant.empty()) {
    MQ_RETURN_IF_ERROR(
        Annotate(source->name(), MergeQuantRecord(shard.quant, &index_.quant)));
  }
  const size_t number = shards_.size();
  // Where the first tensor of every tie is now.
  absl::flat_hash_map<size_t, size_t> ties;
  for (size_t i = 0; i < shard.tensors.size(); ++i) {
    TensorInfo info = shard.tensors[i];
    MQ_RETURN_IF_ERROR(
        Annotate(source->name(), budget_.Add(info.name, info.shape.size())));
    if (!shard_index_.Maps(info.name, number)) {
      unmapped_.Add(info.name, file);
      continue;
    }
    const auto [first, is_first] = ties.try_emplace(
        info.tie == kNoTie ? i : info.tie, index_.tensors.size());
    info.tie = is_first ? kNoTie : first->second;
    index_.tensors.push_back(std::move(info));
    places_.push_back({number, i});
  }
  for (const std::string& note : shard.notes) {
    index_.notes.push_back(absl::StrCat(file, ": ", note));
  }
  if (number == 0) {
    index_.root = shard.root;
  } else if (index_.root != shard.root) {
    index_.root.clear();  // the notes tell
  }
  shards_.push_back(std::move(reader));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> Builder::Finish() {
  if (!unmapped_.empty()) {
    index_.notes.push_back(
        absl::StrCat("tensors that the index does not map are left out: ",
                     unmapped_.ToString()));
  }
  MQ_RETURN_IF_ERROR(ValidateIndex(index_));
  MQ_RETURN_IF_ERROR(CheckAllFound(shard_index_, index_.tensors));
  return std::make_unique<ShardedReader>(std::move(index_), std::move(shards_),
                                         std::move(places_));
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchShards(
    const CheckpointFiles& files, const ShardIndex& shard_index,
    const OpenOptions& options, FileOpener open) {
  Builder builder(files, shard_index);
  for (const std::string& shard : shard_index.shards) {
    MQ_RETURN_IF_ERROR(builder.AddShard(shard, options, open));
  }
  return builder.Finish();
}

}  // namespace monoquant
