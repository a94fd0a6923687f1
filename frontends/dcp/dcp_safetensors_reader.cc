#include "frontends/dcp/dcp_safetensors_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "frontends/dcp/assembled_reader.h"
#include "frontends/dcp/chunked_tensor.h"
#include "frontends/dcp/dcp_metadata.h"
#include "frontends/dcp/file_pool.h"
#include "frontends/foreign.h"
#include "frontends/name_list.h"
#include "frontends/read_range.h"
#include "frontends/safetensors/safetensors_header.h"
#include "frontends/safetensors/safetensors_reader.h"
#include "frontends/safetensors/shard_index.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kShardingInfoKey = "DCP_SHARDING_INFO";
constexpr absl::string_view kVersionKey = "DCP_VERSION";

// How far into a file its metadata is looked for; it comes first.
constexpr uint64_t kProbe = 64 << 10;

// What the name of a file says of it; all count from 1.
struct ShardName {
  uint32_t process = 0;
  uint32_t part = 0;
  uint32_t parts = 0;
};

// The number at the start of `*text`, which `end` follows.
bool ConsumeNumber(absl::string_view* text, absl::string_view end,
                   uint32_t* number) {
  const size_t size = text->find(end);
  if (size == text->npos || !absl::SimpleAtoi(text->substr(0, size), number)) {
    return false;
  }
  text->remove_prefix(size + end.size());
  return true;
}

std::optional<ShardName> ParseShardName(absl::string_view name) {
  ShardName shard;
  if (!absl::ConsumePrefix(&name, "shard-") ||
      !ConsumeNumber(&name, "-model-", &shard.process) ||
      !ConsumeNumber(&name, "-of-", &shard.part) ||
      !ConsumeNumber(&name, ".safetensors", &shard.parts) || !name.empty()) {
    return std::nullopt;
  }
  return shard;
}

std::vector<std::string> ShardFiles(const CheckpointFiles& files) {
  std::vector<std::string> names;
  for (const std::string& name : files.names) {
    if (ParseShardName(name).has_value()) names.push_back(name);
  }
  return names;
}

// Chunks as they lie in the files.
class ShardStore : public ChunkStore {
 public:
  explicit ShardStore(std::shared_ptr<const FilePool> files)
      : files_(std::move(files)) {}

  void Add(size_t file, uint64_t offset, uint64_t size) {
    chunks_.push_back({file, offset, size});
  }

  absl::Status Read(size_t chunk, uint64_t offset,
                    absl::Span<uint8_t> dst) const override {
    const Chunk& place = chunks_[chunk];
    return files_->ReadAt(place.file, place.offset + offset, dst);
  }

  std::optional<FileExtent> Locate(size_t chunk) const override {
    const Chunk& place = chunks_[chunk];
    return FileExtent{files_->name(place.file), place.offset, place.size};
  }

 private:
  struct Chunk {
    size_t file;
    uint64_t offset;
    uint64_t size;
  };

  const std::shared_ptr<const FilePool> files_;
  std::vector<Chunk> chunks_;
};

// Offsets by the name of the tensor. Not present: none are stated, and every
// tensor is whole.
using Offsets = absl::flat_hash_map<std::string, std::vector<int64_t>>;

absl::StatusOr<Offsets> ReadOffsets(const std::string& text) {
  const auto refuse = [](absl::string_view what) {
    return DataLossError("metadata ", QuotedName(kShardingInfoKey), ": ", what);
  };
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return refuse(json.status().message());
  if (!json->is_object()) return refuse("no object");
  Offsets offsets;
  for (const auto& [name, value] : *json->AsObject()) {
    const Json* saved = value.Find("saved_offsets");
    const Json::Array* list = saved == nullptr ? nullptr : saved->AsArray();
    if (list == nullptr) {
      return refuse(absl::StrCat("tensor ", QuotedName(name),
                                 " has no list 'saved_offsets'"));
    }
    std::vector<int64_t>& numbers = offsets[name];
    for (const Json& number : *list) {
      if (number.AsInt() == nullptr || *number.AsInt() < 0) {
        return refuse(absl::StrCat("tensor ", QuotedName(name),
                                   ": 'saved_offsets' holds ",
                                   JsonExcerpt(number)));
      }
      numbers.push_back(*number.AsInt());
    }
  }
  return offsets;
}

// Puts a reader together, file by file.
class Builder {
 public:
  explicit Builder(const CheckpointFiles& files)
      : files_(files), pool_(std::make_shared<FilePool>(files)) {
    index_.container = "dcp-safetensors";
    index_.path = files.path;
  }

  absl::Status AddFile(const std::string& file);
  absl::StatusOr<std::unique_ptr<CheckpointReader>> Finish();
  void AddNote(std::string note) { index_.notes.push_back(std::move(note)); }

 private:
  // A chunk's place in its file.
  struct Place {
    size_t file;
    uint64_t offset;
  };
  // Parallel to index_.tensors.
  struct Entry {
    BoxList boxes;
    std::vector<Place> places;  // parallel to boxes
  };

  absl::Status AddChunk(const TensorInfo& info, std::vector<int64_t> offset,
                        const Place& place);

  const CheckpointFiles& files_;
  const std::shared_ptr<FilePool> pool_;
  CheckpointIndex index_;
  std::vector<Entry> entries_;
  absl::flat_hash_map<std::string, size_t> by_name_;
  IndexBudget budget_;
  size_t chunk_numbers_ = 0;
};

absl::Status Builder::AddFile(const std::string& file) {
  MQ_ASSIGN_OR_RETURN(const size_t number, pool_->Add(file));
  MQ_ASSIGN_OR_RETURN(const auto source, files_.open(file));
  // A clone without Git LFS has pointers in place of files.
  MQ_ASSIGN_OR_RETURN(const bool is_safetensors, IsSafetensors(*source));
  if (!is_safetensors) return DescribeForeignFile(*source);
  MQ_ASSIGN_OR_RETURN(const SafetensorsHeader header,
                      ReadSafetensorsHeader(*source));
  std::optional<Offsets> offsets;
  for (const auto& [key, value] : header.metadata) {
    if (key == kShardingInfoKey) {
      absl::StatusOr<Offsets> read = ReadOffsets(value);
      if (!read.ok()) {
        return absl::Status(
            read.status().code(),
            absl::StrCat(source->name(), ": ", read.status().message()));
      }
      offsets = *std::move(read);
    } else if (number == 0 && key != kVersionKey && key != kQuantRecordKey &&
               key != kSafetensorsTiesKey) {
      index_.metadata.emplace_back(key, value);
    }
  }
  for (const std::string& note : header.notes) {
    AddNote(absl::StrCat(file, ": ", note));
  }
  for (const SafetensorsEntry& entry : header.tensors) {
    std::vector<int64_t> offset(entry.info.shape.size(), 0);
    if (offsets.has_value()) {
      const auto it = offsets->find(entry.info.name);
      if (it == offsets->end()) {
        return DataLossError(source->name(), ": tensor ",
                             QuotedName(entry.info.name), ": metadata ",
                             QuotedName(kShardingInfoKey),
                             " does not say where it belongs");
      }
      offset = it->second;
    }
    MQ_RETURN_IF_ERROR(WithTensor(
        source->name(), entry.info.name,
        AddChunk(entry.info, std::move(offset), {number, entry.offset})));
  }
  return absl::OkStatus();
}

absl::Status Builder::AddChunk(const TensorInfo& info,
                               std::vector<int64_t> offset,
                               const Place& place) {
  MQ_RETURN_IF_ERROR(ToElements(info.dtype, /*if_scalar=*/0, &offset));
  if (offset.size() != info.shape.size()) {
    return DataLossError("its shape is ", ShapeToString(info.shape),
                         ", but it belongs at ", ShapeToString(offset));
  }
  chunk_numbers_ += 2 * std::max<size_t>(info.shape.size(), 1);
  if (chunk_numbers_ > kMaxChunkNumbers) {
    return DataLossError(
        "offsets and sizes of the chunks so far exceed the limit of ",
        kMaxChunkNumbers, " numbers");
  }
  const auto [it, is_new] =
      by_name_.try_emplace(info.name, index_.tensors.size());
  if (is_new) {
    MQ_RETURN_IF_ERROR(budget_.Add(info.name, info.shape.size()));
    index_.tensors.push_back(info);
    entries_.push_back({BoxList(info.shape.size()), {}});
  }
  TensorInfo& whole = index_.tensors[it->second];
  if (whole.dtype != info.dtype || whole.shape.size() != info.shape.size()) {
    return DataLossError(
        absl::StrCat("is ", DTypeName(info.dtype), " of ", info.shape.size(),
                     " dimensions here, but ", DTypeName(whole.dtype), " of ",
                     whole.shape.size(), " in a file before"));
  }
  for (size_t i = 0; i < offset.size(); ++i) {
    int64_t end = 0;
    if (__builtin_add_overflow(offset[i], info.shape[i], &end)) {
      return DataLossError("its place ", ShapeToString(offset), " overflows");
    }
    whole.shape[i] = std::max(whole.shape[i], end);
  }
  Entry& entry = entries_[it->second];
  entry.boxes.Add(offset, info.shape);
  entry.places.push_back(place);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> Builder::Finish() {
  std::vector<AssembledTensor> tensors;
  auto store = std::make_unique<ShardStore>(pool_);
  size_t first_chunk = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    TensorInfo& info = index_.tensors[i];
    const Entry& entry = entries_[i];
    const auto add = [&]() -> absl::Status {
      const auto byte_size = ByteSize(info.dtype, info.shape);
      if (!byte_size.ok()) {
        return DataLossError(byte_size.status().message());
      }
      info.byte_size = *byte_size;
      MQ_ASSIGN_OR_RETURN(
          ChunkedTensor chunks,
          ChunkedTensor::Create(info.dtype, info.shape, entry.boxes));
      tensors.push_back({std::move(chunks), first_chunk});
      return absl::OkStatus();
    };
    MQ_RETURN_IF_ERROR(WithTensor(files_.path, info.name, add()));
    for (const Place& place : entry.places) {
      // Only that of a chunk which is all of the tensor is asked for.
      store->Add(place.file, place.offset, info.byte_size);
    }
    first_chunk += entry.places.size();
  }
  return MakeAssembledReader(std::move(index_), std::move(tensors),
                             std::move(store));
}

// What seems to be missing, by the numbers in the names. Files that a process
// had nothing to write into do not exist, so that this is no error.
std::string MissingFiles(absl::Span<const std::string> names) {
  uint32_t processes = 0;
  uint32_t parts = 0;
  absl::flat_hash_set<uint32_t> has_process;
  absl::flat_hash_set<uint32_t> has_part;
  for (const std::string& name : names) {
    const ShardName shard = *ParseShardName(name);
    processes = std::max(processes, shard.process);
    parts = std::max({parts, shard.part, shard.parts});
    has_process.insert(shard.process);
    has_part.insert(shard.part);
  }
  NameList missing;
  const auto add = [&missing](absl::string_view what, uint32_t count,
                              const absl::flat_hash_set<uint32_t>& has) {
    // There are few files, whatever numbers are in their names.
    for (uint32_t i = 1; i <= count && !missing.IsFull(); ++i) {
      if (!has.contains(i)) missing.Add(absl::StrCat(what, "-", i));
    }
  };
  add("shard", processes, has_process);
  add("model", parts, has_part);
  return missing.ToString();
}

}  // namespace

absl::StatusOr<bool> IsDcpSafetensors(const CheckpointFiles& files) {
  std::string name = files.main;
  if (files.is_directory) {
    const bool has_index = std::any_of(
        files.names.begin(), files.names.end(), [](const std::string& file) {
          return absl::EndsWith(file, ".index.json");
        });
    const std::vector<std::string> names = ShardFiles(files);
    if (has_index || names.empty()) return false;
    name = names[0];
  } else if (!ParseShardName(name).has_value()) {
    return false;
  }
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(name));
  std::string head(static_cast<size_t>(std::min(kProbe, source->size())), '\0');
  MQ_RETURN_IF_ERROR(source->ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return absl::StrContains(head, absl::StrCat("\"", kShardingInfoKey, "\""));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenDcpSafetensors(
    const CheckpointFiles& files, const OpenOptions& options) {
  if (!options.root.empty()) {
    return InvalidArgumentError(
        files.path, ": safetensors has no nested dicts to choose ",
        QuotedName(options.root), " from; leave out --root");
  }
  const std::vector<std::string> names = ShardFiles(files);
  if (names.size() > kMaxShards) {
    return DataLossError(files.path, ": it has ", names.size(),
                         " shards, more than the limit of ", kMaxShards);
  }
  if (!files.is_directory && names.size() > 1) {
    return InvalidArgumentError(
        files.path,
        ": this file holds a part of a distributed checkpoint; name its "
        "directory");
  }
  Builder builder(files);
  for (const std::string& name : names) {
    MQ_RETURN_IF_ERROR(builder.AddFile(name));
  }
  const std::string missing = MissingFiles(names);
  if (!missing.empty()) {
    builder.AddNote(absl::StrCat(
        "no file has these numbers, which is fine only if none was written: ",
        missing));
  }
  return builder.Finish();
}

}  // namespace monoquant
