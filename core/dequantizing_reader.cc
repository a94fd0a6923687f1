#include "core/dequantizing_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/column_groups.h"
#include "core/described_tensors.h"
#include "core/pieces.h"
#include "core/registry.h"
#include "core/stored_tensor.h"
#include "core/tensor_coder.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Elements that are decoded at a time: a multiple of the tile.
constexpr uint64_t kBlockElements = 32 * kTileElements;
// The same for codes in WordOrder: each column of a block takes a read.
constexpr uint64_t kOrderedBlockElements = 1024 * kTileElements;

// How many of `left` elements from `first` on are decoded at a time.
uint64_t BlockSize(const StoredTensorPlace& place, uint64_t first,
                   uint64_t left) {
  const bool ordered = place.packing.order != CodeOrder::kRows;
  const uint64_t block = ordered ? kOrderedBlockElements : kBlockElements;
  uint64_t size = std::min(block, left);
  // Where words go down the rows, a range in several rows takes all of each,
  // and eight of the longest must fit.
  const bool by_rows = ordered || place.packing.zero_point_words;
  const uint64_t row = place.layout.row;
  if (by_rows && row > block / 8) size = std::min(size, row - first % row);
  return size;
}

// Those of elements from `first` on of a tensor whose columns are in `columns`.
void SpreadParams(const ColumnGroups& columns, const ParamLayout& layout,
                  const SlotRange& slots, absl::Span<const QParams> params,
                  uint64_t first, absl::Span<QParams> each) {
  const uint64_t groups = layout.row / layout.segment;
  uint64_t row = first / layout.row;
  uint64_t column = first % layout.row;
  for (QParams& of_element : each) {
    const uint64_t slot = row * groups + columns.GroupOf(column);
    of_element = params[static_cast<size_t>(slot - slots.first)];
    if (++column == layout.row) {
      column = 0;
      ++row;
    }
  }
}

// One tensor of the result.
struct Source {
  size_t base = 0;  // the tensor of the base that has its bytes or codes
  std::optional<StoredTensorPlace> codes;  // if it has codes
};

class DequantizingReader : public CheckpointReader {
 public:
  DequantizingReader(std::shared_ptr<const CheckpointReader> base,
                     CheckpointIndex index, std::vector<Source> sources)
      : base_(std::move(base)),
        index_(std::move(index)),
        sources_(std::move(sources)) {}

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override;

  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (tensor >= sources_.size() || sources_[tensor].codes.has_value()) {
      return std::nullopt;
    }
    return base_->Locate(sources_[tensor].base);
  }

 private:
  absl::Status DecodeBlock(const Source& source, const TensorCoder& coder,
                           DType dtype, uint64_t first, uint64_t count,
                           uint8_t* dst) const;

  std::shared_ptr<const CheckpointReader> base_;
  CheckpointIndex index_;
  std::vector<Source> sources_;
};

absl::Status DequantizingReader::DecodeBlock(const Source& source,
                                             const TensorCoder& coder,
                                             DType dtype, uint64_t first,
                                             uint64_t count,
                                             uint8_t* dst) const {
  const StoredTensorPlace& place = *source.codes;
  const bool has_scales = HasScales(place.scheme.format);
  const CodeRows& rows = coder.rows();
  std::vector<uint8_t> codes;
  MQ_RETURN_IF_ERROR(
      ReadStoredCodes(*base_, place, rows, first, count, &codes));
  SlotRange slots;
  std::vector<QParams> params;
  std::optional<ColumnGroups> columns;
  if (has_scales) {
    MQ_ASSIGN_OR_RETURN(columns, ReadColumnGroups(*base_, place, first, count));
    slots = columns.has_value() ? SlotsOfRows(place.layout, first, count)
                                : SlotsOf(place.layout, first, count);
    MQ_RETURN_IF_ERROR(ReadStoredParams(*base_, place, slots, &params));
  }
  std::vector<QParams> each(columns.has_value() ? kTileElements : 0);
  const Codec& codec = DefaultRegistry().GetCodec(place.scheme.format);
  uint8_t level_tile[kTileElements];
  float value_tile[kTileElements];
  for (uint64_t done = 0; done < count; done += kTileElements) {
    const size_t size =
        static_cast<size_t>(std::min(kTileElements, count - done));
    const uint64_t at = first + done;
    const uint8_t* from = codes.data() + (rows.ByteOf(at) - rows.ByteOf(first));
    const absl::Span<float> values = absl::MakeSpan(value_tile, size);
    if (has_scales) {
      const absl::Span<uint8_t> levels = absl::MakeSpan(level_tile, size);
      rows.Unpack(at, from, levels);
      if (columns.has_value()) {
        const absl::Span<QParams> of_tile = absl::MakeSpan(each).first(size);
        SpreadParams(*columns, place.layout, slots, params, at, of_tile);
        coder.DequantizeEach(levels, of_tile, values);
      } else {
        coder.Dequantize(at, levels, slots, params, values);
      }
    } else {
      codec.decode(from, values);
    }
    FromFloat(dtype, values, dst + done * FloatBytes(dtype));
  }
  return absl::OkStatus();
}

absl::Status DequantizingReader::Read(size_t tensor, uint64_t first,
                                      uint64_t count,
                                      absl::Span<uint8_t> dst) const {
  if (tensor >= sources_.size()) {
    return InvalidArgumentError(index_.path, ": there is no tensor ", tensor);
  }
  const Source& source = sources_[tensor];
  if (!source.codes.has_value()) {
    return base_->Read(source.base, first, count, dst);
  }
  const TensorInfo& info = index_.tensors[tensor];
  MQ_ASSIGN_OR_RETURN(const ByteRange range, ElementBytes(info, first, count));
  if (dst.size() != range.size) {
    return InvalidArgumentError("tensor ", QuotedName(info.name), ": ", count,
                                " elements take ", range.size, " bytes, not ",
                                dst.size());
  }
  const StoredTensorPlace& place = *source.codes;
  const TensorCoder coder(place.scheme, place.layout, nullptr, place.packing);
  for (uint64_t done = 0; done < count;) {
    const uint64_t size = BlockSize(place, first + done, count - done);
    MQ_RETURN_IF_ERROR(DecodeBlock(source, coder, info.dtype, first + done,
                                   size,
                                   dst.data() + done * FloatBytes(info.dtype)));
    done += size;
  }
  return absl::OkStatus();
}

// Makes the index of the result and where each of its tensors comes from.
class Builder {
 public:
  Builder(const CheckpointIndex& base, const DequantizeOptions& options)
      : base_(base), options_(options) {}

  absl::Status Build();

  CheckpointIndex index;
  std::vector<Source> sources;

 private:
  // The tensor whose elements `tensor` of the base shares, or itself.
  size_t Owner(size_t tensor) const {
    return base_.tensors[tensor].tie == kNoTie ? tensor
                                               : base_.tensors[tensor].tie;
  }
  bool SameValues(const Source& a, const Source& b) const;
  size_t TieOf(const Source& source, const TensorInfo& info);

  const CheckpointIndex& base_;
  const DequantizeOptions& options_;
  // The tensors of the result without a tie, by the owner of their elements.
  absl::flat_hash_map<size_t, std::vector<size_t>> untied_;
};

// For sources with the same owner.
bool Builder::SameValues(const Source& a, const Source& b) const {
  if (a.codes.has_value() != b.codes.has_value()) return false;
  if (!a.codes.has_value()) return true;
  const StoredTensorPlace& c = *a.codes;
  const StoredTensorPlace& d = *b.codes;
  const auto same = [this](size_t part, size_t other) {
    if (part == kNoTie || other == kNoTie) return part == other;
    return Owner(part) == Owner(other);
  };
  return c.scheme == d.scheme && c.packing == d.packing &&
         same(c.scale, d.scale) && same(c.zero_point, d.zero_point) &&
         same(c.global_scale, d.global_scale) &&
         same(c.group_index, d.group_index) &&
         same(c.nested.scales, d.nested.scales) &&
         same(c.nested.codebook, d.nested.codebook) &&
         same(c.nested.quant_state, d.nested.quant_state);
}

// The tensor of the result that the next one, `info` from `source`, is tied to.
size_t Builder::TieOf(const Source& source, const TensorInfo& info) {
  std::vector<size_t>& candidates = untied_[Owner(source.base)];
  for (size_t candidate : candidates) {
    if (index.tensors[candidate].dtype == info.dtype &&
        index.tensors[candidate].shape == info.shape &&
        SameValues(sources[candidate], source)) {
      return candidate;
    }
  }
  candidates.push_back(sources.size());
  return kNoTie;
}

absl::Status Builder::Build() {
  index.container = base_.container;
  index.path = base_.path;
  index.metadata = MetadataWithoutClasses(base_);
  index.root = base_.root;
  index.notes = base_.notes;

  IndexByName by_name;
  by_name.reserve(base_.tensors.size());
  for (size_t i = 0; i < base_.tensors.size(); ++i) {
    by_name[base_.tensors[i].name] = i;
  }
  absl::flat_hash_map<size_t, const QuantizedTensor*> codes;
  Marks is_param(base_.tensors.size(), false);
  for (const QuantizedTensor& tensor : base_.quant.tensors) {
    codes[by_name.at(tensor.codes_name())] = &tensor;
    for (absl::string_view part : tensor.part_names()) {
      if (!part.empty()) is_param[by_name.at(part)] = true;
    }
  }

  for (size_t i = 0; i < base_.tensors.size(); ++i) {
    if (is_param[i]) continue;
    TensorInfo info = base_.tensors[i];
    Source source;
    source.base = i;
    if (const auto it = codes.find(i); it != codes.end()) {
      const QuantizedTensor& tensor = *it->second;
      MQ_ASSIGN_OR_RETURN(source.codes, PlaceOf(tensor, by_name));
      info.name = tensor.name;
      info.dtype = options_.dtype.value_or(tensor.dtype);
      info.shape = tensor.shape;
      MQ_ASSIGN_OR_RETURN(info.byte_size, ByteSize(info.dtype, info.shape));
    }
    info.tie = TieOf(source, info);
    index.tensors.push_back(std::move(info));
    sources.push_back(std::move(source));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<CheckpointReader>> MakeDequantizingReader(
    std::shared_ptr<const CheckpointReader> base,
    const DequantizeOptions& options) {
  if (options.dtype.has_value() && !IsQuantizable(*options.dtype)) {
    return InvalidArgumentError("tensors cannot be decoded to ",
                                DTypeName(*options.dtype),
                                "; use F32, F16, BF16 or F64");
  }
  // Readers promise this; decoding relies on it.
  MQ_RETURN_IF_ERROR(ValidateIndex(base->index()));
  Builder builder(base->index(), options);
  MQ_RETURN_IF_ERROR(builder.Build());
  return std::make_unique<DequantizingReader>(
      std::move(base), std::move(builder.index), std::move(builder.sources));
}

}  // namespace monoquant
