#include "exporters/shards.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ir/checkpoint.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/sort.h"

namespace monoquant {
namespace {

using IndexByName = absl::flat_hash_map<absl::string_view, size_t>;

IndexByName IndexNames(const Manifest& manifest) {
  IndexByName by_name;
  by_name.reserve(manifest.tensors.size());
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    by_name.emplace(manifest.tensors[i].name, i);
  }
  return by_name;
}

// Which tensors stay together. A unit is called by its first tensor.
class Units {
 public:
  Units(const Manifest& manifest, const IndexByName& by_name)
      : first_(manifest.tensors.size()) {
    std::iota(first_.begin(), first_.end(), size_t{0});
    for (size_t i = 0; i < first_.size(); ++i) {
      if (manifest.tensors[i].tie != kNoTie) Join(i, manifest.tensors[i].tie);
    }
    for (const QuantizedTensor& tensor : manifest.record.tensors) {
      const auto codes = by_name.find(tensor.codes_name());
      if (codes == by_name.end()) continue;
      for (absl::string_view name : tensor.part_names()) {
        const auto param = by_name.find(name);
        if (param != by_name.end()) Join(codes->second, param->second);
      }
    }
  }

  size_t Of(size_t tensor) {
    while (first_[tensor] != tensor) {
      first_[tensor] = first_[first_[tensor]];  // halves the path
      tensor = first_[tensor];
    }
    return tensor;
  }

 private:
  void Join(size_t a, size_t b) {
    a = Of(a);
    b = Of(b);
    first_[std::max(a, b)] = std::min(a, b);
  }

  std::vector<size_t> first_;
};

uint64_t StoredBytes(const OutputTensor& tensor) {
  return tensor.tie == kNoTie ? tensor.byte_size : 0;
}

// Puts every tensor into its shard.
std::vector<Shard> MakeShards(const Manifest& manifest,
                              const IndexByName& by_name,
                              absl::Span<const size_t> shard_of, size_t count) {
  std::vector<Shard> shards(count);
  for (Shard& shard : shards) {
    shard.manifest.metadata = manifest.metadata;
    shard.manifest.record.version = manifest.record.version;
    shard.manifest.record.source_container = manifest.record.source_container;
    shard.manifest.record.source_name = manifest.record.source_name;
    shard.manifest.record.recipe = manifest.record.recipe;
  }
  std::vector<size_t> position(manifest.tensors.size());  // in its shard
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    Shard& shard = shards[shard_of[i]];
    position[i] = shard.outputs.size();
    OutputTensor tensor = manifest.tensors[i];
    if (tensor.tie != kNoTie) tensor.tie = position[tensor.tie];
    shard.payload_bytes += StoredBytes(tensor);
    shard.manifest.tensors.push_back(std::move(tensor));
    shard.outputs.push_back(i);
  }
  for (const QuantizedTensor& tensor : manifest.record.tensors) {
    const auto codes = by_name.find(tensor.codes_name());
    if (codes == by_name.end()) continue;
    shards[shard_of[codes->second]].manifest.record.tensors.push_back(tensor);
  }
  return shards;
}

}  // namespace

std::vector<Shard> ShardByGroup(const Manifest& manifest,
                                absl::Span<const size_t> group) {
  const IndexByName by_name = IndexNames(manifest);
  Units units(manifest, by_name);
  std::vector<size_t> shard_of(manifest.tensors.size());
  std::map<size_t, size_t> shards;  // those in use, by group
  for (size_t i = 0; i < shard_of.size(); ++i) {
    shard_of[i] = group[units.Of(i)];
    shards[shard_of[i]] = 0;
  }
  size_t count = 0;
  for (auto& [used, shard] : shards) shard = count++;
  for (size_t& shard : shard_of) shard = shards[shard];
  std::vector<Shard> result = MakeShards(manifest, by_name, shard_of, count);
  for (const auto& [used, shard] : shards) result[shard].group = used;
  return result;
}

absl::StatusOr<std::vector<Shard>> ShardBySize(const Manifest& manifest,
                                               uint64_t max_bytes) {
  const IndexByName by_name = IndexNames(manifest);
  Units units(manifest, by_name);
  const size_t count = manifest.tensors.size();
  std::vector<uint64_t> unit_bytes(count);
  for (size_t i = 0; i < count; ++i) {
    unit_bytes[units.Of(i)] += StoredBytes(manifest.tensors[i]);
  }
  std::vector<size_t> shard_of(count);
  size_t shard = 0;
  uint64_t filled = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t unit = units.Of(i);
    if (unit != i) {
      shard_of[i] = shard_of[unit];
      continue;
    }
    const uint64_t bytes = unit_bytes[i];
    if (filled > 0 && (filled > max_bytes || bytes > max_bytes - filled)) {
      ++shard;
      filled = 0;
    }
    shard_of[i] = shard;
    filled += bytes;
  }
  if (shard >= kMaxOutputShards) {
    return InvalidArgumentError("shards of at most ", max_bytes,
                                " bytes would be ", shard + 1,
                                " files, more than the ", kMaxOutputShards,
                                " that readers accept; allow larger ones");
  }
  return MakeShards(manifest, by_name, shard_of, shard + 1);
}

std::string ShardFileName(absl::string_view stem, absl::string_view extension,
                          size_t shard, size_t count) {
  if (count == 1) return absl::StrCat(stem, ".", extension);
  return absl::StrCat(stem, "-", absl::Dec(shard + 1, absl::kZeroPad5), "-of-",
                      absl::Dec(count, absl::kZeroPad5), ".", extension);
}

std::string ShardIndexFileName(absl::string_view stem,
                               absl::string_view extension) {
  return absl::StrCat(stem, ".", extension, ".index.json");
}

std::string ShardIndexToJson(absl::Span<const Shard> shards,
                             absl::Span<const std::string> files,
                             const FileNaming& naming) {
  uint64_t total_size = 0;
  Json::Object map;
  for (size_t i = 0; i < shards.size(); ++i) {
    total_size += shards[i].payload_bytes;
    for (const OutputTensor& tensor : shards[i].manifest.tensors) {
      if (tensor.tie != kNoTie && !naming.lists_ties) continue;
      map.emplace_back(tensor.name, files[i]);
    }
  }
  Sort(map, [](const auto& a, const auto& b) { return a.first < b.first; });
  Json metadata;
  metadata.Set("total_size", total_size);
  Json index;
  index.Set("metadata", std::move(metadata));
  index.Set("weight_map", Json(std::move(map)));
  return index.ToString(2) + "\n";
}

}  // namespace monoquant
