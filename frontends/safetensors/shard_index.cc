#include "frontends/safetensors/shard_index.h"

#include <algorithm>
#include <cstddef>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// How far into the file "weight_map" is looked for. Indexes in the wild have a
// short "metadata" before it, or none.
constexpr uint64_t kProbe = 64 << 10;

absl::Status Malformed(const ByteSource& source, absl::string_view what) {
  return DataLossError(source.name(), ": malformed shard index: ", what);
}

bool IsBareName(absl::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(absl::string_view("/\\:\0", 4)) == name.npos;
}

}  // namespace

absl::StatusOr<bool> IsShardIndex(const ByteSource& source) {
  std::string head(static_cast<size_t>(std::min(kProbe, source.size())), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return absl::StartsWith(absl::StripLeadingAsciiWhitespace(head), "{") &&
         absl::StrContains(head, "\"weight_map\"");
}

absl::StatusOr<ShardIndex> ParseShardIndex(const ByteSource& source) {
  if (source.size() > kMaxShardIndexBytes) {
    return Malformed(source, absl::StrCat("it has ", source.size(),
                                          " bytes, more than the limit of ",
                                          kMaxShardIndexBytes));
  }
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      ReadAll(source, kMaxShardIndexBytes));
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return Malformed(source, json.status().message());
  const Json* map = json->Find("weight_map");
  const Json::Object* entries = map == nullptr ? nullptr : map->AsObject();
  if (entries == nullptr) {
    return Malformed(source, "'weight_map' is missing or no object");
  }

  ShardIndex index;
  index.path = source.name();
  for (const auto& [tensor, value] : *entries) {
    const std::string* shard = value.AsString();
    if (shard == nullptr || !IsBareName(*shard)) {
      return Malformed(
          source,
          absl::StrCat("tensor ", QuotedName(tensor), " is mapped to ",
                       JsonExcerpt(value), ", which is no bare file name"));
    }
    index.shards.push_back(*shard);
  }
  Sort(index.shards);
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()),
                     index.shards.end());
  if (index.shards.size() > kMaxShards) {
    return Malformed(
        source, absl::StrCat("it has ", index.shards.size(),
                             " shards, more than the limit of ", kMaxShards));
  }
  for (const auto& [tensor, value] : *entries) {
    const auto shard = std::lower_bound(index.shards.begin(),
                                        index.shards.end(), *value.AsString());
    index.tensors.push_back(tensor);
    index.shard_of.emplace(tensor,
                           static_cast<size_t>(shard - index.shards.begin()));
  }
  const Json* metadata = json->Find("metadata");
  const Json* total =
      metadata == nullptr ? nullptr : metadata->Find("total_size");
  if (total != nullptr) index.total_size = *total;
  return index;
}

absl::StatusOr<ShardIndex> ReadShardIndex(const ByteSource& source,
                                          const CheckpointFiles& files) {
  MQ_ASSIGN_OR_RETURN(ShardIndex index, ParseShardIndex(source));
  for (const std::string& shard : index.shards) {
    if (!std::binary_search(files.names.begin(), files.names.end(), shard)) {
      return NotFoundError(
          source.name(), ": shard ", QuotedName(shard),
          " is not in its directory; download or copy all shards into it");
    }
  }
  return index;
}

absl::Status CheckAllFound(const ShardIndex& index,
                           absl::Span<const TensorInfo> found) {
  absl::flat_hash_set<absl::string_view> names;
  names.reserve(found.size());
  for (const TensorInfo& info : found) names.insert(info.name);
  NameList missing;
  for (const std::string& name : index.tensors) {
    if (names.contains(name)) continue;
    missing.Add(name, index.shards[index.shard_of.at(name)]);
  }
  if (missing.empty()) return absl::OkStatus();
  return DataLossError(index.path, ": not in the shards that it maps them to: ",
                       missing.ToString(),
                       "; download or copy all files again");
}

}  // namespace monoquant
