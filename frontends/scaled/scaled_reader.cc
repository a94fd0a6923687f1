#include "frontends/scaled/scaled_reader.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/name_list.h"
#include "frontends/read_range.h"
#include "frontends/scaled/block_size.h"
#include "frontends/scaled/scale_pairs.h"
#include "frontends/tensors/block_grid.h"
#include "frontends/tensors/narrow_floats.h"
#include "frontends/tensors/param_window.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kNoScale = static_cast<size_t>(-1);

// A weight and its scale, by their numbers in the wrapped reader.
struct ScaledTensor {
  ScalePair pair;
  BlockGrid grid;
};

// A tensor as it is listed: one of the wrapped reader's, or a pair of them.
struct Entry {
  size_t tensor;             // in the wrapped reader
  size_t scaled = kNoScale;  // in ScaledReader::scaled_
};

class ScaledReader : public CheckpointReader {
 public:
  ScaledReader(std::unique_ptr<CheckpointReader> base, CheckpointIndex index,
               std::vector<Entry> entries, std::vector<ScaledTensor> scaled)
      : base_(std::move(base)),
        index_(std::move(index)),
        entries_(std::move(entries)),
        scaled_(std::move(scaled)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    MQ_RETURN_IF_ERROR(
        CheckReadRange(index_, tensor, first, count, dst.size()).status());
    const Entry& entry = entries_[tensor];
    if (entry.scaled == kNoScale) {
      return base_->Read(entry.tensor, first, count, dst);
    }
    return ReadScaled(scaled_[entry.scaled], first, count, dst);
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= entries_.size()) return std::nullopt;
    const Entry& entry = entries_[tensor];
    if (entry.scaled != kNoScale) return std::nullopt;
    return base_->Locate(entry.tensor);
  }

 private:
  absl::Status ReadScaled(const ScaledTensor& scaled, uint64_t first,
                          uint64_t count, absl::Span<uint8_t> dst) const;
  absl::Status LoadScales(size_t scale, uint64_t first,
                          absl::Span<float> dst) const;

  const std::unique_ptr<CheckpointReader> base_;
  const CheckpointIndex index_;
  const std::vector<Entry> entries_;  // parallel to index_.tensors
  const std::vector<ScaledTensor> scaled_;
};

absl::Status ScaledReader::ReadScaled(const ScaledTensor& scaled,
                                      uint64_t first, uint64_t count,
                                      absl::Span<uint8_t> dst) const {
  if (count == 0) return absl::OkStatus();
  // The codes are decoded in place, from the end of the floats that they
  // become: each is read before anything is written over it.
  const absl::Span<uint8_t> codes = dst.last(static_cast<size_t>(count));
  MQ_RETURN_IF_ERROR(base_->Read(scaled.pair.weight, first, count, codes));
  const std::array<float, 256>& values =
      *Float8Values(base_->index().tensors[scaled.pair.weight].dtype);
  ParamWindow<float> window(
      scaled.grid.blocks(), [&](uint64_t begin, absl::Span<float> scales) {
        return LoadScales(scaled.pair.scale, begin, scales);
      });
  return ForEachBlock(
      scaled.grid, first, count, &window,
      [&](float scale, uint64_t begin, uint64_t end) {
        for (uint64_t i = begin; i < end; ++i) {
          const float value = values[codes[static_cast<size_t>(i)]] * scale;
          std::memcpy(dst.data() + i * sizeof(float), &value, sizeof(float));
        }
      });
}

absl::Status ScaledReader::LoadScales(size_t scale, uint64_t first,
                                      absl::Span<float> dst) const {
  const DType dtype = base_->index().tensors[scale].dtype;
  const auto item_size = static_cast<size_t>(GetDTypeInfo(dtype).bits / 8);
  std::vector<uint8_t> bytes(dst.size() * item_size);
  MQ_RETURN_IF_ERROR(
      base_->Read(scale, first, dst.size(), absl::MakeSpan(bytes)));
  for (size_t i = 0; i < dst.size(); ++i) {
    // Exact: no type of a scale is wider than float32.
    dst[i] = static_cast<float>(ReadFloat(dtype, bytes.data() + i * item_size));
  }
  return absl::OkStatus();
}

// Checks that the halves of a pair belong together.
absl::StatusOr<ScaledTensor> MakeScaledTensor(const CheckpointIndex& index,
                                              const ScalePair& pair,
                                              const Shape& block) {
  const TensorInfo& weight = index.tensors[pair.weight];
  const TensorInfo& scale = index.tensors[pair.scale];
  const std::string where =
      absl::StrCat(index.path, ": tensor ", QuotedName(weight.name), ": ");
  if (!IsReadableFloat(scale.dtype) || scale.dtype == DType::kF64) {
    return UnimplementedError(
        where, "its scales ", QuotedName(scale.name), " are ",
        DTypeName(scale.dtype),
        ", which is not read; convert them to F32, BF16 or F16");
  }
  auto grid = FitBlocks(weight.shape, scale.shape, block);
  if (!grid.ok()) {
    return DataLossError(where, "its scales ", QuotedName(scale.name), ": ",
                         grid.status().message(),
                         "; check that both are of one checkpoint");
  }
  return ScaledTensor{pair, *std::move(grid)};
}

// Lists the pairs of `scaled` as one tensor each.
std::vector<Entry> ListPairs(absl::Span<const ScaledTensor> scaled,
                             CheckpointIndex* index) {
  const std::vector<TensorInfo> tensors = std::move(index->tensors);
  index->tensors.clear();
  Marks is_scale(tensors.size(), false);
  std::vector<size_t> scaled_of(tensors.size(), kNoScale);
  for (size_t i = 0; i < scaled.size(); ++i) {
    scaled_of[scaled[i].pair.weight] = i;
    is_scale[scaled[i].pair.scale] = true;
  }
  const auto first_of = [&](size_t i) {
    return tensors[i].tie == kNoTie ? i : tensors[i].tie;
  };
  // Weights stay tied if their scales are the same too.
  absl::flat_hash_map<std::pair<size_t, size_t>, size_t> first_entry;
  std::vector<Entry> entries;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (is_scale[i]) continue;
    TensorInfo info = tensors[i];
    size_t scale = kNoScale;
    if (scaled_of[i] != kNoScale) {
      scale = first_of(scaled[scaled_of[i]].pair.scale);
      info.dtype = DType::kF32;
      info.byte_size *= sizeof(float);
    }
    const auto [it, inserted] =
        first_entry.try_emplace({first_of(i), scale}, entries.size());
    info.tie = inserted ? kNoTie : it->second;
    entries.push_back({i, scaled_of[i]});
    index->tensors.push_back(std::move(info));
  }
  return entries;
}

// Those of `pairs` whose weight the quantization record does not describe.
std::vector<ScalePair> WithoutRecorded(const CheckpointIndex& index,
                                       std::vector<ScalePair> pairs) {
  absl::flat_hash_set<absl::string_view> recorded;
  for (const QuantizedTensor& tensor : index.quant.tensors) {
    recorded.insert(tensor.codes_name());
  }
  pairs.erase(std::remove_if(pairs.begin(), pairs.end(),
                             [&](const ScalePair& pair) {
                               return recorded.contains(
                                   index.tensors[pair.weight].name);
                             }),
              pairs.end());
  return pairs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> ApplyScales(
    std::unique_ptr<CheckpointReader> reader, const CheckpointFiles& files) {
  const CheckpointIndex& base = reader->index();
  if (!base.quant.version.empty() || !MayHaveScalePairs(base)) return reader;
  MQ_ASSIGN_OR_RETURN(std::vector<ScalePair> pairs, FindScalePairs(base));
  pairs = WithoutRecorded(base, std::move(pairs));
  if (pairs.empty()) return reader;
  MQ_ASSIGN_OR_RETURN(const Shape block, ConfiguredBlockSize(files));
  std::vector<ScaledTensor> scaled;
  scaled.reserve(pairs.size());
  NameList names;
  for (const ScalePair& pair : pairs) {
    MQ_ASSIGN_OR_RETURN(ScaledTensor tensor,
                        MakeScaledTensor(base, pair, block));
    scaled.push_back(std::move(tensor));
    const TensorInfo& weight = base.tensors[pair.weight];
    names.Add(weight.name,
              absl::StrCat(DTypeName(weight.dtype), ", scales ",
                           ShapeToString(base.tensors[pair.scale].shape)));
  }
  CheckpointIndex index = base;
  std::vector<Entry> entries = ListPairs(scaled, &index);
  index.notes.push_back(
      absl::StrCat("weights that are 8-bit floats with scales, read as F32 (",
                   names.count(), "): ", names.ToString()));
  MQ_RETURN_IF_ERROR(ValidateIndex(index));
  return std::make_unique<ScaledReader>(std::move(reader), std::move(index),
                                        std::move(entries), std::move(scaled));
}

}  // namespace monoquant
