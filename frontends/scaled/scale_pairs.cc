#include "frontends/scaled/scale_pairs.h"

#include <algorithm>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "ir/errors.h"
#include "ir/quoted.h"

namespace monoquant {
namespace {

constexpr absl::string_view kInverseSuffix = "_scale_inv";
constexpr absl::string_view kSuffix = "_scale";
constexpr absl::string_view kWeight = ".weight";

constexpr absl::string_view kRemedy =
    "; the checkpoint is incomplete, download or copy all of it again";

// Tensors by name.
using Names = absl::flat_hash_map<absl::string_view, size_t>;

const TensorInfo* Find(const CheckpointIndex& index, const Names& names,
                       absl::string_view name) {
  const auto it = names.find(name);
  return it == names.end() ? nullptr : &index.tensors[it->second];
}

absl::Status Refuse(const CheckpointIndex& index, absl::string_view tensor,
                    absl::string_view what) {
  return DataLossError(index.path, ": tensor ", QuotedName(tensor), ": ", what,
                       kRemedy);
}

// Scales without a weight.
absl::Status CheckScale(const CheckpointIndex& index, const Names& names,
                        const TensorInfo& scale, bool has_pairs) {
  absl::string_view base = scale.name;
  if (absl::ConsumeSuffix(&base, kInverseSuffix)) {
    const TensorInfo* weight = Find(index, names, base);
    if (weight == nullptr) {
      return Refuse(index, scale.name,
                    absl::StrCat("has scales for ", QuotedName(base),
                                 ", which is missing"));
    }
    if (!IsFloat8Weight(weight->dtype)) {
      return Refuse(
          index, scale.name,
          absl::StrCat("has scales for ", QuotedName(base), ", which is ",
                       DTypeName(weight->dtype), " and no 8-bit float"));
    }
    return absl::OkStatus();
  }
  if (!has_pairs || !absl::ConsumeSuffix(&base, kSuffix) ||
      !absl::EndsWith(base, kWeight)) {
    return absl::OkStatus();
  }
  // Other formats have more than these two.
  if (Find(index, names, base) != nullptr ||
      Find(index, names, absl::StrCat(base, "_packed")) != nullptr) {
    return absl::OkStatus();
  }
  return Refuse(
      index, scale.name,
      absl::StrCat("has scales for ", QuotedName(base), ", which is missing"));
}

// The power of two b with ceil(size / b) == count; 0 if there is none. With two
// blocks or more there is at most one.
int64_t FindBlock(int64_t size, int64_t count) {
  if (count == size) return 1;
  if (count == 1) return size;
  int64_t block = 1;
  while (block <= (size - 1) / 2) {
    block *= 2;
    if ((size - 1) / block + 1 == count) return block;
  }
  return 0;
}

}  // namespace

bool IsFloat8Weight(DType dtype) {
  switch (dtype) {
    case DType::kF8E4M3:
    case DType::kF8E5M2:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2FNUZ:
      return true;
    default:
      return false;
  }
}

bool MayHaveScalePairs(const CheckpointIndex& index) {
  return std::any_of(index.tensors.begin(), index.tensors.end(),
                     [](const TensorInfo& info) {
                       return IsFloat8Weight(info.dtype) ||
                              absl::EndsWith(info.name, kInverseSuffix);
                     });
}

absl::StatusOr<std::vector<ScalePair>> FindScalePairs(
    const CheckpointIndex& index) {
  Names names;
  names.reserve(index.tensors.size());
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    names.emplace(index.tensors[i].name, i);
  }
  std::vector<ScalePair> pairs;
  // The first weight without a scale.
  const TensorInfo* lonely = nullptr;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& info = index.tensors[i];
    if (!IsFloat8Weight(info.dtype)) continue;
    const auto inverse = names.find(absl::StrCat(info.name, kInverseSuffix));
    const auto plain = names.find(absl::StrCat(info.name, kSuffix));
    if (inverse != names.end() && plain != names.end()) {
      return DataLossError(
          index.path, ": tensor ", QuotedName(info.name),
          " has two tensors of scales, ", QuotedName(inverse->first), " and ",
          QuotedName(plain->first), "; remove the one that is not meant");
    }
    const auto scale = inverse != names.end() ? inverse : plain;
    if (scale != names.end()) {
      pairs.push_back({i, scale->second});
    } else if (lonely == nullptr && absl::EndsWith(info.name, kWeight)) {
      lonely = &info;
    }
  }
  if (!pairs.empty() && lonely != nullptr) {
    const TensorInfo& scale = index.tensors[pairs[0].scale];
    const absl::string_view suffix =
        absl::EndsWith(scale.name, kInverseSuffix) ? kInverseSuffix : kSuffix;
    return Refuse(index, lonely->name,
                  absl::StrCat(DTypeName(lonely->dtype), " without its scales ",
                               QuotedName(absl::StrCat(lonely->name, suffix)),
                               ", which other weights have"));
  }
  for (const TensorInfo& info : index.tensors) {
    const absl::Status status = CheckScale(index, names, info, !pairs.empty());
    if (!status.ok()) return status;
  }
  return pairs;
}

absl::StatusOr<BlockGrid> FitBlocks(absl::Span<const int64_t> weight,
                                    absl::Span<const int64_t> scale,
                                    absl::Span<const int64_t> block) {
  const auto elements = NumElements(weight);
  if (!elements.ok()) return elements.status();
  if (scale.empty() || (scale.size() == 1 && scale[0] == 1)) {
    return BlockGrid(*elements);
  }
  if (scale.size() == 1 && weight.size() > 1 && scale[0] == weight[0]) {
    return BlockGrid::ForAxis(weight, 0);
  }
  const auto refuse = [&](absl::string_view blocks) {
    return DataLossError("scales of ", ShapeToString(scale),
                         " do not fit a weight of ", ShapeToString(weight),
                         " in blocks of ", blocks);
  };
  if (scale.size() != weight.size()) {
    return refuse(block.empty() ? "any size" : ShapeToString(block));
  }
  Shape sizes(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    const size_t from_end = weight.size() - i;
    if (from_end <= block.size()) {
      sizes[i] = block[block.size() - from_end];
      const int64_t count = weight[i] == 0 ? 0 : (weight[i] - 1) / sizes[i] + 1;
      if (count != scale[i]) return refuse(ShapeToString(block));
    } else {
      sizes[i] = FindBlock(weight[i], scale[i]);
      if (sizes[i] == 0 && weight[i] != 0) return refuse("a power of two");
    }
    sizes[i] = std::max<int64_t>(sizes[i], 1);
  }
  return BlockGrid(weight, sizes);
}

}  // namespace monoquant
