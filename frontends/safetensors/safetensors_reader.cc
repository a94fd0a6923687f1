#include "frontends/safetensors/safetensors_reader.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/foreign.h"
#include "frontends/name_list.h"
#include "frontends/read_range.h"
#include "frontends/safetensors/safetensors_header.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/sort.h"
#include "ir/status_macros.h"
#include "ir/torchao_metadata.h"

namespace monoquant {
namespace {

// A file of the checkpoint.
struct Shard {
  std::string file;  // bare name
  std::shared_ptr<const ByteSource> source;
};

// Where a tensor lies.
struct Place {
  size_t shard;
  uint64_t offset;
};

class SafetensorsReader : public CheckpointReader {
 public:
  SafetensorsReader(CheckpointIndex index, std::vector<Shard> shards,
                    std::vector<Place> places)
      : index_(std::move(index)),
        shards_(std::move(shards)),
        places_(std::move(places)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    MQ_ASSIGN_OR_RETURN(
        const uint64_t begin,
        CheckReadRange(index_, tensor, first, count, dst.size()));
    const Place& place = places_[tensor];
    const ByteSource& source = *shards_[place.shard].source;
    return WithTensor(source.name(), index_.tensors[tensor].name,
                      source.ReadAt(place.offset + begin, dst));
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= places_.size()) return std::nullopt;
    const uint64_t size = index_.tensors[tensor].byte_size;
    if (size == 0) return std::nullopt;
    const Place& place = places_[tensor];
    return FileExtent{shards_[place.shard].file, place.offset, size};
  }

 private:
  const CheckpointIndex index_;
  const std::vector<Shard> shards_;
  const std::vector<Place> places_;  // parallel to index_.tensors
};

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Puts a reader together, shard by shard.
class Builder {
 public:
  Builder(const CheckpointFiles& files, const OpenOptions& options,
          absl::string_view container)
      : files_(files), without_record_(options.without_record) {
    index_.container = std::string(container);
    index_.path = files.path;
  }

  // Adds a shard's tensors, of those that `wanted` (if given) maps to it.
  absl::Status AddShard(const std::string& file, const ShardIndex* wanted);
  absl::StatusOr<std::unique_ptr<CheckpointReader>> Finish();
  void AddNote(std::string note) { index_.notes.push_back(std::move(note)); }

 private:
  absl::Status AddMetadata(const ByteSource& source, Metadata metadata);
  absl::Status AddRecord(const ByteSource& source, const std::string& text);
  absl::Status AddTies(const ByteSource& source, const std::string& text);
  absl::Status ApplyTies();

  const CheckpointFiles& files_;
  const bool without_record_;
  CheckpointIndex index_;
  std::vector<Shard> shards_;
  std::vector<Place> places_;
  // The first value of every key.
  absl::flat_hash_map<std::string, std::string> metadata_;
  // Tied tensors with the names of those that they share the bytes of.
  Json::Object ties_;
  // Of torchao's, where shards have different lists.
  TorchaoNames torchao_names_;
  NameList unmapped_;
};

absl::Status Builder::AddShard(const std::string& file,
                               const ShardIndex* wanted) {
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<const ByteSource> source,
                      files_.open(file));
  // Nobody has looked into all shards yet. A clone without Git LFS has pointers
  // in their place.
  if (wanted != nullptr) {
    MQ_ASSIGN_OR_RETURN(const bool is_safetensors, IsSafetensors(*source));
    if (!is_safetensors) return DescribeForeignFile(*source);
  }
  MQ_ASSIGN_OR_RETURN(SafetensorsHeader header, ReadSafetensorsHeader(*source));
  const size_t shard = shards_.size();
  for (SafetensorsEntry& entry : header.tensors) {
    if (wanted != nullptr && !wanted->Maps(entry.info.name, shard)) {
      unmapped_.Add(entry.info.name, file);
      continue;
    }
    index_.tensors.push_back(std::move(entry.info));
    places_.push_back({shard, entry.offset});
  }
  for (const std::string& note : header.notes) {
    AddNote(wanted == nullptr ? note : absl::StrCat(file, ": ", note));
  }
  MQ_RETURN_IF_ERROR(AddMetadata(*source, std::move(header.metadata)));
  shards_.push_back({file, std::move(source)});
  return absl::OkStatus();
}

absl::Status Builder::AddMetadata(const ByteSource& source, Metadata metadata) {
  for (auto& [key, value] : metadata) {
    const auto [it, inserted] = metadata_.try_emplace(key, value);
    if (!inserted && it->second == value) continue;
    if (key == kQuantRecordKey) {
      if (without_record_) continue;
      MQ_RETURN_IF_ERROR(AddRecord(source, value));
    } else if (key == kSafetensorsTiesKey) {
      MQ_RETURN_IF_ERROR(AddTies(source, value));
    } else if (inserted) {
      index_.metadata.emplace_back(std::move(key), std::move(value));
    } else if (key == kTorchaoNamesKey &&
               (!torchao_names_.empty() || torchao_names_.Add(it->second)) &&
               torchao_names_.Add(value)) {
      // Each shard lists tensors of its own.
    } else {
      AddNote(absl::StrCat("metadata ", QuotedName(key),
                           " differs between shards; the first is kept"));
    }
  }
  return absl::OkStatus();
}

absl::Status RefuseMetadata(const ByteSource& source, absl::string_view key,
                            absl::string_view what) {
  return DataLossError(source.name(), ": metadata ", QuotedName(key), ": ",
                       what);
}

// A shard's record speaks of its own tensors.
absl::Status Builder::AddRecord(const ByteSource& source,
                                const std::string& text) {
  absl::StatusOr<QuantRecord> record = QuantRecordFromJson(text);
  if (!record.ok()) {
    return RefuseMetadata(source, kQuantRecordKey, record.status().message());
  }
  const absl::Status merged =
      MergeQuantRecord(*std::move(record), &index_.quant);
  if (merged.ok()) return merged;
  return RefuseMetadata(source, kQuantRecordKey, merged.message());
}

absl::Status Builder::AddTies(const ByteSource& source,
                              const std::string& text) {
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return RefuseMetadata(source, kSafetensorsTiesKey, json.status().message());
  }
  if (!json->is_object()) {
    return RefuseMetadata(source, kSafetensorsTiesKey, "no object");
  }
  for (const Json::Member& tie : *json->AsObject()) ties_.push_back(tie);
  return absl::OkStatus();
}

// Adds the tied tensors behind the others and takes the entries for torch out
// of the metadata.
absl::Status Builder::ApplyTies() {
  if (ties_.empty()) return absl::OkStatus();
  const auto refuse = [this](absl::string_view what) {
    return DataLossError(files_.path, ": metadata ",
                         QuotedName(kSafetensorsTiesKey), ": ", what);
  };
  absl::flat_hash_map<std::string, size_t> by_name;
  for (size_t i = 0; i < index_.tensors.size(); ++i) {
    by_name.emplace(index_.tensors[i].name, i);
  }
  absl::flat_hash_map<std::string, std::string> pairs;
  for (const auto& [name, value] : ties_) {
    const std::string* kept = value.AsString();
    const auto it = kept == nullptr ? by_name.end() : by_name.find(*kept);
    if (it == by_name.end()) {
      return refuse(absl::StrCat(QuotedName(name), " is tied to ",
                                 JsonExcerpt(value),
                                 ", which is no tensor of the file"));
    }
    if (by_name.contains(name)) {
      return refuse(
          absl::StrCat(QuotedName(name), " is a tensor of the file itself"));
    }
    TensorInfo info = index_.tensors[it->second];
    info.name = name;
    info.tie = it->second;
    index_.tensors.push_back(std::move(info));
    places_.push_back(places_[it->second]);
    pairs.emplace(name, *kept);
  }
  Metadata kept_metadata;
  for (auto& entry : index_.metadata) {
    const auto it = pairs.find(entry.first);
    if (it != pairs.end() && it->second == entry.second) continue;
    kept_metadata.push_back(std::move(entry));
  }
  index_.metadata = std::move(kept_metadata);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> Builder::Finish() {
  if (!unmapped_.empty()) {
    AddNote(absl::StrCat("tensors that the index does not map are left out: ",
                         unmapped_.ToString()));
  }
  for (auto& [key, value] : index_.metadata) {
    if (key == kTorchaoNamesKey && !torchao_names_.empty()) {
      value = torchao_names_.ToString();
    }
  }
  Sort(index_.metadata);
  MQ_RETURN_IF_ERROR(ApplyTies());
  MQ_RETURN_IF_ERROR(ValidateIndex(index_));
  return std::make_unique<SafetensorsReader>(
      std::move(index_), std::move(shards_), std::move(places_));
}

absl::Status RefuseRoot(const CheckpointFiles& files,
                        const OpenOptions& options) {
  if (options.root.empty()) return absl::OkStatus();
  return InvalidArgumentError(
      files.path, ": safetensors has no nested dicts to choose ",
      QuotedName(options.root), " from; leave out --root");
}

}  // namespace

absl::StatusOr<bool> IsSafetensorsFile(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  return IsSafetensors(*source);
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsFile(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_RETURN_IF_ERROR(RefuseRoot(files, options));
  Builder builder(files, options, "safetensors");
  MQ_RETURN_IF_ERROR(builder.AddShard(files.main, nullptr));
  return builder.Finish();
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenSafetensorsShards(
    const CheckpointFiles& files, const ShardIndex& shard_index,
    const OpenOptions& options) {
  MQ_RETURN_IF_ERROR(RefuseRoot(files, options));
  Builder builder(files, options, "safetensors-sharded");
  for (const std::string& shard : shard_index.shards) {
    MQ_RETURN_IF_ERROR(builder.AddShard(shard, &shard_index));
  }
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<CheckpointReader> reader,
                      builder.Finish());
  MQ_RETURN_IF_ERROR(CheckAllFound(shard_index, reader->index().tensors));
  return reader;
}

}  // namespace monoquant
