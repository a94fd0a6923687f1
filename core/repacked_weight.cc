#include "core/repacked_weight.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/codecs/codec.h"
#include "core/qparams.h"
#include "core/registry.h"
#include "core/zero_points.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Levels, and parameters, that are worked on at a time.
constexpr uint64_t kBlockLevels = uint64_t{1} << 17;
constexpr uint64_t kBlockParams = uint64_t{1} << 14;
// The same for levels that lie in lines: each of a block takes a read.
constexpr uint64_t kOrderedBlockLevels = uint64_t{1} << 22;

uint64_t BlockLevels(const StoredTensorPlace& from) {
  return from.packing.order == CodeOrder::kRows ? kBlockLevels
                                                : kOrderedBlockLevels;
}

uint64_t RoundDown(uint64_t n, uint64_t unit) { return n / unit * unit; }
uint64_t RoundUp(uint64_t n, uint64_t unit) {
  return RoundDown(n + unit - 1, unit);
}

const Codec& CodecOf(const QuantScheme& scheme) {
  return DefaultRegistry().GetCodec(scheme.format);
}

uint64_t BitsOf(const QuantScheme& scheme) {
  return static_cast<uint64_t>(BitsOfCode(scheme.format));
}

// Whole lines (core/word_order.h), or a part of one, and the rows that it has
// the numbers of.
struct LinePart {
  uint64_t first_line = 0;
  uint64_t lines = 0;
  uint64_t first_row = 0;
  uint64_t rows = 0;
  uint64_t bytes = 0;  // of each line
};

// That with which `range` of a tensor of `num_rows` rows begins: no more than
// `max_lines`.
LinePart FirstPart(const ByteRange& range, const Lines& whole,
                   uint64_t num_rows, uint64_t max_lines) {
  const uint64_t in_line = range.offset % whole.bytes;
  LinePart part;
  part.first_line = range.offset / whole.bytes;
  part.lines = 1;
  part.bytes = std::min(whole.bytes - in_line, range.size);
  if (part.bytes == whole.bytes) {
    part.lines = std::min(range.size / whole.bytes, max_lines);
  }
  // Every row has as many bits.
  part.first_row = in_line * num_rows / whole.bytes;
  part.rows = part.bytes * num_rows / whole.bytes;
  return part;
}

// How many rows make a block of `size` numbers, with as many of each row.
uint64_t RowsOfBlock(uint64_t size, uint64_t of_row) {
  return std::max(kWordOrderUnit, RoundDown(size / of_row, kWordOrderUnit));
}

// Fills a range of a tensor in lines, block by block of rows. `make` is called
// with lines and rows (multiples of kWordOrderUnit) and returns the first of
// these lines, which lie one after the other. block_rows(lines) is how many
// rows it takes at a time.
template <typename BlockRows, typename Make>
absl::Status FillLines(ByteRange range, const Lines& whole, uint64_t num_rows,
                       uint64_t max_lines, uint8_t* dst, BlockRows block_rows,
                       Make make) {
  while (range.size > 0) {
    const LinePart part = FirstPart(range, whole, num_rows, max_lines);
    const uint64_t end = part.first_row + part.rows;
    const uint64_t step = block_rows(part.lines);
    for (uint64_t row = RoundDown(part.first_row, kWordOrderUnit); row < end;
         row += step) {
      const uint64_t rows = std::min(step, RoundUp(end - row, kWordOrderUnit));
      MQ_ASSIGN_OR_RETURN(const uint8_t* made,
                          make(part.first_line, part.lines, row, rows));
      const uint64_t made_bytes = rows * whole.bytes / num_rows;
      // The rows of the block that are asked for.
      const uint64_t begin = std::max(row, part.first_row);
      const uint64_t skipped = (begin - row) * made_bytes / rows;
      const uint64_t at = (begin - part.first_row) * made_bytes / rows;
      const uint64_t size =
          (std::min(row + rows, end) - begin) * made_bytes / rows;
      for (uint64_t line = 0; line < part.lines; ++line) {
        std::memcpy(dst + line * part.bytes + at,
                    made + line * made_bytes + skipped,
                    static_cast<size_t>(size));
      }
    }
    const uint64_t done = part.lines * part.bytes;
    range.offset += done;
    range.size -= done;
    dst += done;
  }
  return absl::OkStatus();
}

// Scales stay what they are below a global scale, which is copied.
StoredTensorPlace WithoutGlobalScale(StoredTensorPlace place) {
  place.global_scale = kNoTie;
  return place;
}

}  // namespace

RepackedWeight::RepackedWeight(std::string name, const StoredTensorPlace& from,
                               QuantStorage storage, const QuantScheme& scheme,
                               StoredWeight to)
    : name_(std::move(name)),
      from_(WithoutGlobalScale(from)),
      from_rows_(CodecOf(from.scheme), from.layout.row, from.packing),
      storage_(storage),
      scheme_(scheme),
      to_(std::move(to)),
      to_rows_(CodecOf(scheme), from.layout.row, to_.packing) {
  if (to_.packing.order != CodeOrder::kRows) {
    order_.emplace(to_.packing, BitsOf(scheme));
  }
  if (!HasZeroPoints(scheme.format)) return;
  const LevelGrid before = GridOf(CodecOf(from.scheme), from.scheme);
  const LevelGrid after = GridOf(CodecOf(scheme), scheme);
  shift_ = after.qmin - before.qmin;
  smallest_zero_point_ = after.qmin + (to_.packing.zero_points_less_1 ? 1 : 0);
  largest_zero_point_ = after.qmax;
  if (scheme.symmetric) {
    // Programs need not look at those that are stored.
    smallest_zero_point_ = after.symmetric_zero();
    largest_zero_point_ = after.symmetric_zero();
  }
}

absl::Status RepackedWeight::Refuse(const CheckpointReader& reader,
                                    absl::string_view problem) const {
  return FailedPreconditionError(reader.index().path, ": tensor ",
                                 QuotedName(name_), ": ", problem, "; ",
                                 kRepackRemedy);
}

absl::Status RepackedWeight::ReadLevels(const CheckpointReader& reader,
                                        const CodeBlock& block,
                                        std::vector<uint8_t>* levels) const {
  MQ_RETURN_IF_ERROR(
      ReadStoredLevels(reader, from_, from_rows_, block, levels));
  if (shift_ == 0) return absl::OkStatus();
  for (uint8_t& level : *levels) {
    level = static_cast<uint8_t>(level + shift_);
  }
  return absl::OkStatus();
}

// Those of the target.
absl::Status RepackedWeight::ReadParams(const CheckpointReader& reader,
                                        const SlotRange& slots,
                                        std::vector<QParams>* params) const {
  MQ_RETURN_IF_ERROR(ReadStoredParams(reader, from_, slots, params));
  if (!HasZeroPoints(scheme_.format)) return absl::OkStatus();
  for (size_t i = 0; i < params->size(); ++i) {
    int32_t& zero_point = (*params)[i].zero_point;
    const int32_t before = zero_point;
    zero_point += shift_;
    if (zero_point >= smallest_zero_point_ &&
        zero_point <= largest_zero_point_) {
      continue;
    }
    const std::string found = absl::StrCat("the zero point of scale ",
                                           slots.first + i, " is ", before);
    return Refuse(
        reader,
        scheme_.symmetric
            ? absl::StrCat(found, ", and not ", smallest_zero_point_ - shift_,
                           " as in a symmetric scheme")
            : absl::StrCat(found, ", and ", StorageName(storage_),
                           " has those from ", smallest_zero_point_ - shift_,
                           " to ", largest_zero_point_ - shift_));
  }
  return absl::OkStatus();
}

// Those of the groups of some rows: columns of `groups` are groups.
absl::Status RepackedWeight::ReadParamBlock(
    const CheckpointReader& reader, const CodeBlock& groups,
    std::vector<QParams>* params) const {
  const uint64_t per_row = from_.layout.row / from_.layout.segment;
  params->clear();
  std::vector<QParams> of_rows;
  // All groups of all rows take one read, where they are not too many.
  const bool at_once = groups.rows * per_row <= kBlockParams;
  const uint64_t step = at_once ? groups.rows : 1;
  const uint64_t before = at_once ? groups.first_column : 0;
  const uint64_t stride = at_once ? per_row : groups.columns;
  for (uint64_t row = 0; row < groups.rows; row += step) {
    SlotRange slots;
    slots.first = (groups.first_row + row) * per_row +
                  (at_once ? 0 : groups.first_column);
    slots.count = step * stride;
    MQ_RETURN_IF_ERROR(ReadParams(reader, slots, &of_rows));
    for (uint64_t i = 0; i < step; ++i) {
      const auto begin =
          of_rows.begin() + static_cast<int64_t>(i * stride + before);
      params->insert(params->end(), begin,
                     begin + static_cast<int64_t>(groups.columns));
    }
  }
  return absl::OkStatus();
}

absl::Status RepackedWeight::StoreScales(const CheckpointReader& reader,
                                         const std::vector<QParams>& params,
                                         uint8_t* dst) const {
  const DType dtype = to_.scale->dtype;
  std::vector<float> scales;
  scales.reserve(params.size());
  for (const QParams& p : params) scales.push_back(p.scale);
  FromFloat(dtype, scales, dst);
  if (reader.index().tensors[from_.scale].dtype == dtype) {
    return absl::OkStatus();
  }
  std::vector<float> stored(scales.size());
  ToFloat(dtype, dst, absl::MakeSpan(stored));
  for (size_t i = 0; i < scales.size(); ++i) {
    if (stored[i] == scales[i] ||
        (std::isnan(stored[i]) && std::isnan(scales[i]))) {
      continue;
    }
    return Refuse(reader, absl::StrCat("the scale ", NumberText(scales[i]),
                                       " is no number of ", DTypeName(dtype),
                                       ", which scales of ",
                                       StorageName(storage_), " are"));
  }
  return absl::OkStatus();
}

// ------------------------------------------------------------------- codes --

absl::Status RepackedWeight::ReadCodeRows(const CheckpointReader& reader,
                                          const ByteRange& range,
                                          uint8_t* dst) const {
  const uint64_t bits = BitsOf(scheme_);
  const uint64_t row = from_.layout.row;
  const uint64_t row_bytes = to_rows_.BytesOf(0, row);
  const uint64_t block_bytes = BlockLevels(from_) * bits / 8;
  std::vector<uint8_t> levels;
  for (uint64_t done = 0; done < range.size;) {
    const uint64_t at = range.offset + done;
    const uint64_t left = range.size - done;
    const uint64_t in_row = at % row_bytes;
    CodeBlock block;
    block.first_row = at / row_bytes;
    uint64_t bytes;
    if (in_row == 0 && row_bytes <= std::min(left, block_bytes)) {
      block.rows = std::min(left, block_bytes) / row_bytes;
      block.columns = row;
      bytes = block.rows * row_bytes;
    } else {
      bytes = std::min({row_bytes - in_row, left, block_bytes});
      block.rows = 1;
      block.first_column = in_row * 8 / bits;
      block.columns =
          std::min((in_row + bytes) * 8 / bits, row) - block.first_column;
    }
    MQ_RETURN_IF_ERROR(ReadLevels(reader, block, &levels));
    to_rows_.Pack(block.first_row * row + block.first_column,
                  absl::MakeSpan(levels), dst + done);
    done += bytes;
  }
  return absl::OkStatus();
}

absl::Status RepackedWeight::ReadCodeLines(const CheckpointReader& reader,
                                           const ByteRange& range,
                                           uint8_t* dst) const {
  const ParamLayout& layout = from_.layout;
  const uint64_t unit = order_->word_columns();
  const bool line_is_column = to_.packing.order == CodeOrder::kRowWords;
  const uint64_t columns_of_line = line_is_column ? 1 : unit;
  const uint64_t max_lines = kBlockLevels / kWordOrderUnit / unit;
  std::vector<uint8_t> levels;
  std::vector<uint8_t> packed;
  std::vector<uint8_t> made;
  const auto block_rows = [&](uint64_t lines) {
    return RowsOfBlock(BlockLevels(from_),
                       RoundUp(lines * columns_of_line, unit));
  };
  const auto make = [&](uint64_t first_line, uint64_t lines, uint64_t first_row,
                        uint64_t rows) -> absl::StatusOr<const uint8_t*> {
    const uint64_t first = first_line * columns_of_line;
    CodeBlock block;
    block.first_row = first_row;
    block.rows = rows;
    block.first_column = RoundDown(first, unit);
    block.columns =
        RoundUp(first + lines * columns_of_line, unit) - block.first_column;
    MQ_RETURN_IF_ERROR(ReadLevels(reader, block, &levels));
    const CodeRows of_block(CodecOf(scheme_), block.columns, to_.packing);
    packed.resize(levels.size() * BitsOf(scheme_) / 8);
    made.resize(packed.size());
    of_block.Pack(0, absl::MakeSpan(levels), packed.data());
    order_->StoreCodes(rows, block.columns, packed.data(), made.data());
    const uint64_t line_bytes = order_->CodeLines(rows, block.columns).bytes;
    return made.data() +
           (first - block.first_column) / columns_of_line * line_bytes;
  };
  return FillLines(range, order_->CodeLines(layout.num_rows, layout.row),
                   layout.num_rows, max_lines, dst, block_rows, make);
}

absl::Status RepackedWeight::ReadCodes(const CheckpointReader& reader,
                                       const ByteRange& range,
                                       uint8_t* dst) const {
  return order_.has_value() ? ReadCodeLines(reader, range, dst)
                            : ReadCodeRows(reader, range, dst);
}

// -------------------------------------------------------------- parameters --

// Scales or zero points in lines: store(rows, params, lines) stores those of
// all groups of a block.
template <typename Store>
absl::Status RepackedWeight::ReadParamLines(const CheckpointReader& reader,
                                            const ByteRange& range,
                                            const Lines& whole, uint8_t* dst,
                                            Store store) const {
  const uint64_t groups = from_.layout.row / from_.layout.segment;
  std::vector<QParams> params;
  std::vector<uint8_t> made;
  const auto block_rows = [&](uint64_t) {
    return RowsOfBlock(kBlockParams, groups);
  };
  const auto make = [&](uint64_t first_group, uint64_t count,
                        uint64_t first_row,
                        uint64_t rows) -> absl::StatusOr<const uint8_t*> {
    MQ_RETURN_IF_ERROR(
        ReadParamBlock(reader, {first_row, rows, first_group, count}, &params));
    MQ_RETURN_IF_ERROR(store(rows, params, &made));
    return made.data();
  };
  return FillLines(range, whole, from_.layout.num_rows,
                   kBlockParams / kWordOrderUnit, dst, block_rows, make);
}

absl::Status RepackedWeight::ReadScales(const CheckpointReader& reader,
                                        const ByteRange& range,
                                        uint8_t* dst) const {
  const ParamLayout& layout = from_.layout;
  const uint64_t width = FloatBytes(to_.scale->dtype);
  if (order_.has_value()) {
    std::vector<uint8_t> scales;
    const auto store = [&](uint64_t rows, const std::vector<QParams>& params,
                           std::vector<uint8_t>* lines) {
      scales.resize(params.size() * static_cast<size_t>(width));
      lines->resize(scales.size());
      MQ_RETURN_IF_ERROR(StoreScales(reader, params, scales.data()));
      WordOrder::StoreScales(rows, params.size() / rows, scales.data(),
                             lines->data());
      return absl::OkStatus();
    };
    return ReadParamLines(
        reader, range,
        WordOrder::ScaleLines(layout.num_rows, layout.row / layout.segment),
        dst, store);
  }
  std::vector<QParams> params;
  const uint64_t first = range.offset / width;
  const uint64_t count = range.size / width;
  for (uint64_t done = 0; done < count; done += kBlockParams) {
    MQ_RETURN_IF_ERROR(ReadParams(
        reader, {first + done, std::min(kBlockParams, count - done)}, &params));
    MQ_RETURN_IF_ERROR(StoreScales(reader, params, dst + done * width));
  }
  return absl::OkStatus();
}

// Zero points of CodePacking::zero_point_words.
absl::Status RepackedWeight::ReadZeroPointWords(const CheckpointReader& reader,
                                                const ByteRange& range,
                                                uint8_t* dst) const {
  const uint64_t bits = BitsOf(scheme_);
  const uint64_t per_word = 32 / bits;
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  const uint32_t flip = to_.packing.offset ? uint32_t{1} << (bits - 1) : 0;
  const uint64_t groups = from_.layout.row / from_.layout.segment;
  std::vector<QParams> params;
  const uint64_t end = (range.offset + range.size) / sizeof(uint32_t);
  for (uint64_t at = range.offset / sizeof(uint32_t); at < end;) {
    CodeBlock block;
    block.first_row = at / groups * per_word;
    block.rows = std::min(per_word, from_.layout.num_rows - block.first_row);
    block.first_column = at % groups;
    block.columns = std::min(
        {groups - block.first_column, end - at, kBlockParams / per_word});
    MQ_RETURN_IF_ERROR(ReadParamBlock(reader, block, &params));
    for (uint64_t column = 0; column < block.columns; ++column) {
      uint32_t word = 0;
      for (uint64_t i = 0; i < block.rows; ++i) {
        const uint32_t level = static_cast<uint32_t>(
            params[static_cast<size_t>(i * block.columns + column)].zero_point);
        word |= ((level ^ flip) & mask) << (i * bits);
      }
      std::memcpy(dst, &word, sizeof(word));
      dst += sizeof(word);
    }
    at += block.columns;
  }
  return absl::OkStatus();
}

absl::Status RepackedWeight::ReadZeroPoints(const CheckpointReader& reader,
                                            const ByteRange& range,
                                            uint8_t* dst) const {
  const ParamLayout& layout = from_.layout;
  if (order_.has_value()) {
    std::vector<uint8_t> levels;
    const auto store = [&](uint64_t rows, const std::vector<QParams>& params,
                           std::vector<uint8_t>* lines) {
      levels.clear();
      for (const QParams& p : params) {
        levels.push_back(static_cast<uint8_t>(p.zero_point));
      }
      const uint64_t groups = params.size() / rows;
      lines->resize(
          static_cast<size_t>(order_->ZeroPointLines(rows, groups).size()));
      order_->StoreZeroPoints(rows, groups, levels.data(), lines->data());
      return absl::OkStatus();
    };
    return ReadParamLines(
        reader, range,
        order_->ZeroPointLines(layout.num_rows, layout.row / layout.segment),
        dst, store);
  }
  if (to_.packing.zero_point_words) {
    return ReadZeroPointWords(reader, range, dst);
  }
  std::vector<QParams> params;
  const DType dtype = to_.zero_point->dtype;
  const uint64_t width = ZeroPointBytes(dtype);
  const uint64_t first = range.offset / width;
  const uint64_t count = range.size / width;
  for (uint64_t done = 0; done < count; done += kBlockParams) {
    MQ_RETURN_IF_ERROR(ReadParams(
        reader, {first + done, std::min(kBlockParams, count - done)}, &params));
    for (const QParams& p : params) {
      StoreZeroPoint(dtype, p.zero_point, dst);
      dst += width;
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
