#include "core/stored_tensor.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/registry.h"
#include "core/word_order.h"
#include "core/zero_points.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

uint64_t ElementBytes(const CheckpointReader& reader, size_t tensor) {
  return static_cast<uint64_t>(
             GetDTypeInfo(reader.index().tensors[tensor].dtype).bits) /
         8;
}

void EraseBegin(uint64_t count, std::vector<uint8_t>* bytes) {
  bytes->erase(bytes->begin(), bytes->begin() + static_cast<int64_t>(count));
}

// ---------------------------------------------------------- in WordOrder --

// A block whose rows fill words.
using Block = CodeBlock;

// The one of whole rows, or within 8 rows, which has the elements [first, first
// + count) of a matrix with rows of `row`; columns are multiples of `unit`.
Block BlockOf(uint64_t first, uint64_t count, uint64_t row, uint64_t unit) {
  const uint64_t last = first + count - 1;
  Block block;
  block.first_row = first / row / kWordOrderUnit * kWordOrderUnit;
  block.rows =
      (last / row / kWordOrderUnit + 1) * kWordOrderUnit - block.first_row;
  block.columns = row;
  if (first / row == last / row) {
    block.first_column = first % row / unit * unit;
    // A row of bytes may end within a unit.
    block.columns =
        std::min((last % row / unit + 1) * unit, row) - block.first_column;
  }
  return block;
}

// Where element `first` of the matrix is in its block.
uint64_t PlaceIn(const Block& block, uint64_t first, uint64_t row) {
  return (first / row - block.first_row) * block.columns + first % row -
         block.first_column;
}

// A part of the lines of a tensor that has `whole`: that of as many rows as
// `lines` are for, when those of `before` have gone before.
absl::Status ReadLines(const CheckpointReader& reader, size_t tensor,
                       uint64_t first_line, const Lines& whole,
                       const Lines& before, const Lines& lines,
                       std::vector<uint8_t>* bytes) {
  const uint64_t element = ElementBytes(reader, tensor);
  bytes->resize(static_cast<size_t>(lines.size()));
  if (lines.bytes == whole.bytes) {
    return reader.Read(tensor, first_line * whole.bytes / element,
                       lines.size() / element, absl::MakeSpan(*bytes));
  }
  for (uint64_t i = 0; i < lines.count; ++i) {
    const uint64_t at = (first_line + i) * whole.bytes + before.bytes;
    MQ_RETURN_IF_ERROR(reader.Read(
        tensor, at / element, lines.bytes / element,
        absl::MakeSpan(*bytes).subspan(static_cast<size_t>(i * lines.bytes),
                                       static_cast<size_t>(lines.bytes))));
  }
  return absl::OkStatus();
}

WordOrder OrderOf(const StoredTensorPlace& place) {
  const Codec& codec = DefaultRegistry().GetCodec(place.scheme.format);
  return WordOrder(place.packing, static_cast<uint64_t>(codec.bits));
}

// The codes of a block, packed row by row; its columns fill words too.
absl::Status ReadBlockOfLines(const CheckpointReader& reader,
                              const StoredTensorPlace& place,
                              const Block& block, std::vector<uint8_t>* bytes) {
  const ParamLayout& layout = place.layout;
  const WordOrder order = OrderOf(place);
  std::vector<uint8_t> lines;
  MQ_RETURN_IF_ERROR(
      ReadLines(reader, place.codes,
                order.CodeLines(block.rows, block.first_column).count,
                order.CodeLines(layout.num_rows, layout.row),
                order.CodeLines(block.first_row, layout.row),
                order.CodeLines(block.rows, block.columns), &lines));
  bytes->resize(lines.size());
  order.LoadCodes(block.rows, block.columns, lines.data(), bytes->data());
  return absl::OkStatus();
}

absl::Status ReadCodeLines(const CheckpointReader& reader,
                           const StoredTensorPlace& place, uint64_t first,
                           uint64_t count, std::vector<uint8_t>* bytes) {
  const uint64_t row = place.layout.row;
  const Block block = BlockOf(first, count, row, OrderOf(place).word_columns());
  MQ_RETURN_IF_ERROR(ReadBlockOfLines(reader, place, block, bytes));
  const uint64_t codes_before = PlaceIn(block, first, row);
  EraseBegin(codes_before * bytes->size() / (block.rows * block.columns),
             bytes);
  return absl::OkStatus();
}

absl::Status ReadLevelLines(const CheckpointReader& reader,
                            const StoredTensorPlace& place, const Block& block,
                            std::vector<uint8_t>* levels) {
  const auto round_down = [](uint64_t n, uint64_t unit) {
    return n / unit * unit;
  };
  const auto round_up = [](uint64_t n, uint64_t unit) {
    return (n + unit - 1) / unit * unit;
  };
  const uint64_t unit = OrderOf(place).word_columns();
  Block words;
  words.first_row = round_down(block.first_row, kWordOrderUnit);
  words.rows =
      round_up(block.first_row + block.rows, kWordOrderUnit) - words.first_row;
  words.first_column = round_down(block.first_column, unit);
  words.columns =
      round_up(block.first_column + block.columns, unit) - words.first_column;
  std::vector<uint8_t> bytes;
  MQ_RETURN_IF_ERROR(ReadBlockOfLines(reader, place, words, &bytes));
  const CodeRows packed(DefaultRegistry().GetCodec(place.scheme.format),
                        words.columns, place.packing);
  for (uint64_t i = 0; i < block.rows; ++i) {
    const uint64_t first =
        (block.first_row + i - words.first_row) * words.columns +
        (block.first_column - words.first_column);
    packed.Unpack(
        first, bytes.data() + packed.ByteOf(first),
        absl::MakeSpan(*levels).subspan(static_cast<size_t>(i * block.columns),
                                        static_cast<size_t>(block.columns)));
  }
  return absl::OkStatus();
}

absl::Status ReadParamLines(const CheckpointReader& reader,
                            const StoredTensorPlace& place,
                            const SlotRange& slots,
                            std::vector<uint8_t>* scales,
                            std::vector<uint8_t>* zero_points) {
  const uint64_t rows = place.layout.num_rows;
  const uint64_t groups = place.layout.row / place.layout.segment;
  const WordOrder order = OrderOf(place);
  const Block block = BlockOf(slots.first, slots.count, groups, 1);
  std::vector<uint8_t> lines;
  MQ_RETURN_IF_ERROR(ReadLines(reader, place.scale, block.first_column,
                               WordOrder::ScaleLines(rows, groups),
                               WordOrder::ScaleLines(block.first_row, groups),
                               WordOrder::ScaleLines(block.rows, block.columns),
                               &lines));
  scales->resize(lines.size());
  WordOrder::LoadScales(block.rows, block.columns, lines.data(),
                        scales->data());
  MQ_RETURN_IF_ERROR(ReadLines(reader, place.zero_point, block.first_column,
                               order.ZeroPointLines(rows, groups),
                               order.ZeroPointLines(block.first_row, groups),
                               order.ZeroPointLines(block.rows, block.columns),
                               &lines));
  zero_points->resize(static_cast<size_t>(block.rows * block.columns));
  order.LoadZeroPoints(block.rows, block.columns, lines.data(),
                       zero_points->data());
  const uint64_t before = PlaceIn(block, slots.first, groups);
  EraseBegin(before * sizeof(uint16_t), scales);
  EraseBegin(before, zero_points);
  return absl::OkStatus();
}

// ------------------------------------------------------------- row by row --

// DataLoss for bytes that are no codes of 4 bits (CodePacking::code_bytes).
absl::Status CheckCodeBytes(const CheckpointReader& reader,
                            const StoredTensorPlace& place,
                            absl::Span<const uint8_t> bytes) {
  const Codec& codec = DefaultRegistry().GetCodec(place.scheme.format);
  for (const uint8_t byte : bytes) {
    const int code = static_cast<int8_t>(byte);
    if (code >= codec.qmin && code <= codec.qmax) continue;
    const CheckpointIndex& index = reader.index();
    return DataLossError(index.path, ": tensor ",
                         QuotedName(index.tensors[place.codes].name),
                         " has the code ", code, ", which is no number of ",
                         NumberFormatName(place.scheme.format),
                         "; download or copy the checkpoint again");
  }
  return absl::OkStatus();
}

absl::Status ReadCodeRows(const CheckpointReader& reader,
                          const StoredTensorPlace& place, const CodeRows& rows,
                          uint64_t first, uint64_t count,
                          std::vector<uint8_t>* bytes) {
  const uint64_t element = ElementBytes(reader, place.codes);
  const uint64_t begin = rows.ByteOf(first) / element;
  const uint64_t end = rows.ByteOf(first + count - 1) / element + 1;
  bytes->resize(static_cast<size_t>((end - begin) * element));
  MQ_RETURN_IF_ERROR(
      reader.Read(place.codes, begin, end - begin, absl::MakeSpan(*bytes)));
  // A word may begin before the first code.
  EraseBegin(rows.ByteOf(first) - begin * element, bytes);
  return place.packing.code_bytes ? CheckCodeBytes(reader, place, *bytes)
                                  : absl::OkStatus();
}

absl::Status ReadLevelRows(const CheckpointReader& reader,
                           const StoredTensorPlace& place, const CodeRows& rows,
                           const Block& block, std::vector<uint8_t>* levels) {
  const uint64_t row = place.layout.row;
  // Whole rows in one go, others one by one.
  const uint64_t run = block.columns == row ? block.rows * row : block.columns;
  const uint64_t begin = block.first_row * row + block.first_column;
  std::vector<uint8_t> bytes;
  for (uint64_t done = 0; done < levels->size(); done += run) {
    const uint64_t first = begin + done / block.columns * row;
    MQ_RETURN_IF_ERROR(ReadCodeRows(reader, place, rows, first, run, &bytes));
    rows.Unpack(first, bytes.data(),
                absl::MakeSpan(*levels).subspan(static_cast<size_t>(done),
                                                static_cast<size_t>(run)));
  }
  return absl::OkStatus();
}

// Zero points that are stored as I64 or as F32, a byte each.
absl::Status ReadWideZeroPoints(const CheckpointReader& reader,
                                const StoredTensorPlace& place,
                                const SlotRange& slots,
                                std::vector<uint8_t>* zero_points) {
  const bool is_signed = ZeroPointDType(place.scheme.format) == DType::kI8;
  const int smallest = is_signed ? INT8_MIN : 0;
  const int largest = is_signed ? INT8_MAX : UINT8_MAX;
  const size_t count = static_cast<size_t>(slots.count);
  const DType dtype = reader.index().tensors[place.zero_point].dtype;
  const size_t width = ZeroPointBytes(dtype);
  std::vector<uint8_t> bytes(count * width);
  MQ_RETURN_IF_ERROR(reader.Read(place.zero_point, slots.first, slots.count,
                                 absl::MakeSpan(bytes)));
  zero_points->resize(count);
  for (size_t i = 0; i < count; ++i) {
    const double value = LoadWideZeroPoint(dtype, &bytes[i * width]);
    // A NaN is in no range.
    if (!(value >= smallest && value <= largest) ||
        value != static_cast<int>(value)) {
      const CheckpointIndex& index = reader.index();
      return DataLossError(index.path, ": tensor ",
                           QuotedName(index.tensors[place.zero_point].name),
                           " has the zero point ", NumberText(value),
                           ", which is no level of ",
                           NumberFormatName(place.scheme.format));
    }
    (*zero_points)[i] = static_cast<uint8_t>(static_cast<int>(value));
  }
  return absl::OkStatus();
}

// Zero points in words that go down the rows (CodePacking::zero_point_words).
absl::Status ReadZeroPointWords(const CheckpointReader& reader,
                                const StoredTensorPlace& place,
                                const SlotRange& slots,
                                std::vector<uint8_t>* zero_points) {
  const uint64_t bits = static_cast<uint64_t>(BitsOfCode(place.scheme.format));
  const uint64_t per_word = 32 / bits;
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  const uint64_t groups = place.layout.row / place.layout.segment;
  const uint64_t row = slots.first / groups;
  const uint64_t last_row = (slots.first + slots.count - 1) / groups;
  // The words of all rows that a word has, of these columns.
  const uint64_t column = row == last_row ? slots.first % groups : 0;
  const uint64_t columns = row == last_row ? slots.count : groups;
  const uint64_t first_line = row / per_word;
  const uint64_t lines = last_row / per_word + 1 - first_line;
  std::vector<uint32_t> words(static_cast<size_t>(lines * columns));
  MQ_RETURN_IF_ERROR(reader.Read(
      place.zero_point, first_line * groups + column, lines * columns,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(words.data()),
                     words.size() * sizeof(uint32_t))));
  const int32_t offset = place.packing.offset ? 1 << (bits - 1) : 0;
  zero_points->resize(static_cast<size_t>(slots.count));
  for (uint64_t i = 0; i < slots.count; ++i) {
    const uint64_t r = (slots.first + i) / groups;
    const uint64_t c = (slots.first + i) % groups;
    const uint32_t word = words[static_cast<size_t>(
        (r / per_word - first_line) * columns + c - column)];
    const uint32_t stored = word >> (r % per_word * bits) & mask;
    (*zero_points)[static_cast<size_t>(i)] =
        static_cast<uint8_t>(static_cast<int32_t>(stored) - offset);
  }
  return absl::OkStatus();
}

// `zero_points` gets one for all slots if only one is stored.
absl::Status ReadParamRows(const CheckpointReader& reader,
                           const StoredTensorPlace& place,
                           const SlotRange& slots, std::vector<uint8_t>* scales,
                           std::vector<uint8_t>* zero_points) {
  scales->resize(
      static_cast<size_t>(slots.count * ElementBytes(reader, place.scale)));
  MQ_RETURN_IF_ERROR(reader.Read(place.scale, slots.first, slots.count,
                                 absl::MakeSpan(*scales)));
  zero_points->assign(1, 0);
  if (place.zero_point == kNoTie) return absl::OkStatus();
  if (place.packing.zero_point_words) {
    return ReadZeroPointWords(reader, place, slots, zero_points);
  }
  const DType dtype = reader.index().tensors[place.zero_point].dtype;
  if (ZeroPointBytes(dtype) > 1) {
    return ReadWideZeroPoints(reader, place, slots, zero_points);
  }
  SlotRange stored = slots;
  if (reader.index().tensors[place.zero_point].shape.empty()) stored = {0, 1};
  zero_points->resize(static_cast<size_t>(stored.count));
  return reader.Read(place.zero_point, stored.first, stored.count,
                     absl::MakeSpan(*zero_points));
}

// ---------------------------------------------------------- nested scales --

// `count` elements of an F32 tensor, from `first` on.
absl::StatusOr<std::vector<float>> ReadFloats(const CheckpointReader& reader,
                                              size_t tensor, uint64_t first,
                                              uint64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  MQ_RETURN_IF_ERROR(
      reader.Read(tensor, first, count,
                  absl::MakeSpan(reinterpret_cast<uint8_t*>(values.data()),
                                 values.size() * sizeof(float))));
  return values;
}

// What all scales of a weight have added.
absl::StatusOr<float> ReadOffset(const CheckpointReader& reader,
                                 size_t quant_state) {
  const CheckpointIndex& index = reader.index();
  const TensorInfo& info = index.tensors[quant_state];
  std::string text(static_cast<size_t>(info.byte_size), '\0');
  MQ_RETURN_IF_ERROR(reader.Read(
      quant_state, 0, info.byte_size,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(text.data()), text.size())));
  const absl::StatusOr<Json> state = ParseJson(text);
  const Json* offset = state.ok() ? state->Find("nested_offset") : nullptr;
  if (offset != nullptr && offset->AsDouble() != nullptr) {
    return static_cast<float>(*offset->AsDouble());
  }
  if (offset != nullptr && offset->AsInt() != nullptr) {
    return static_cast<float>(*offset->AsInt());
  }
  return DataLossError(
      index.path, ": tensor ", QuotedName(info.name),
      ": is no JSON text with a number \"nested_offset\", which "
      "the scales need; download or copy the checkpoint again");
}

// Scales that are codes: number * scale + offset, each rounded.
absl::Status DecodeNestedScales(const CheckpointReader& reader,
                                const NestedScalesPlace& place,
                                const SlotRange& slots,
                                absl::Span<const uint8_t> codes,
                                absl::Span<float> scales) {
  constexpr uint64_t kBlock = kNestedBlock;
  MQ_ASSIGN_OR_RETURN(const float offset,
                      ReadOffset(reader, place.quant_state));
  MQ_ASSIGN_OR_RETURN(const std::vector<float> numbers,
                      ReadFloats(reader, place.codebook, 0, 256));
  const uint64_t first_block = slots.first / kBlock;
  const uint64_t blocks =
      (slots.first + slots.count - 1) / kBlock + 1 - first_block;
  MQ_ASSIGN_OR_RETURN(const std::vector<float> of_blocks,
                      ReadFloats(reader, place.scales, first_block, blocks));
  for (size_t i = 0; i < scales.size(); ++i) {
    const uint64_t block = (slots.first + i) / kBlock - first_block;
    const float product =
        numbers[codes[i]] * of_blocks[static_cast<size_t>(block)];
    scales[i] = product + offset;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoredTensorPlace> PlaceOf(const QuantizedTensor& tensor,
                                          const IndexByName& by_name) {
  StoredTensorPlace place;
  place.scheme = tensor.scheme;
  MQ_ASSIGN_OR_RETURN(place.layout,
                      ComputeParamLayout(tensor.scheme, tensor.shape));
  MQ_ASSIGN_OR_RETURN(
      const StoredWeight stored,
      StoreWeight(tensor.storage, tensor.name, tensor.scheme, tensor.shape));
  place.packing = stored.packing;
  place.codes = by_name.at(tensor.codes_name());
  if (!tensor.scale.empty()) place.scale = by_name.at(tensor.scale);
  if (!tensor.zero_point.empty()) {
    place.zero_point = by_name.at(tensor.zero_point);
  }
  if (!tensor.global_scale.empty()) {
    place.global_scale = by_name.at(tensor.global_scale);
  }
  size_t quant_state = kNoTie;
  // Those that are there.
  for (size_t i = 0; i < tensor.constants.size(); ++i) {
    const size_t constant = by_name.at(tensor.constants[i]);
    switch (stored.constants[i].kind) {
      case ConstantKind::kGroupIndex:
        place.group_index = constant;
        break;
      case ConstantKind::kZeroPoints:
        place.zero_point = constant;
        break;
      case ConstantKind::kNestedScales:
        place.nested.scales = constant;
        break;
      case ConstantKind::kNestedCodebook:
        place.nested.codebook = constant;
        break;
      case ConstantKind::kQuantState:
        quant_state = constant;
        break;
      default:
        break;
    }
  }
  if (place.nested.scales != kNoTie) place.nested.quant_state = quant_state;
  return place;
}

absl::Status ReadStoredCodes(const CheckpointReader& reader,
                             const StoredTensorPlace& place,
                             const CodeRows& rows, uint64_t first,
                             uint64_t count, std::vector<uint8_t>* bytes) {
  return place.packing.order == CodeOrder::kRows
             ? ReadCodeRows(reader, place, rows, first, count, bytes)
             : ReadCodeLines(reader, place, first, count, bytes);
}

absl::Status ReadStoredLevels(const CheckpointReader& reader,
                              const StoredTensorPlace& place,
                              const CodeRows& rows, const CodeBlock& block,
                              std::vector<uint8_t>* levels) {
  levels->resize(static_cast<size_t>(block.rows * block.columns));
  return place.packing.order == CodeOrder::kRows
             ? ReadLevelRows(reader, place, rows, block, levels)
             : ReadLevelLines(reader, place, block, levels);
}

absl::Status ReadStoredParams(const CheckpointReader& reader,
                              const StoredTensorPlace& place,
                              const SlotRange& slots,
                              std::vector<QParams>* params) {
  const auto read =
      place.packing.order == CodeOrder::kRows ? ReadParamRows : ReadParamLines;
  std::vector<uint8_t> stored;
  std::vector<uint8_t> zero_points;
  MQ_RETURN_IF_ERROR(read(reader, place, slots, &stored, &zero_points));
  const size_t count = static_cast<size_t>(slots.count);
  std::vector<float> scales(count);
  if (place.nested.scales != kNoTie) {
    MQ_RETURN_IF_ERROR(DecodeNestedScales(reader, place.nested, slots, stored,
                                          absl::MakeSpan(scales)));
  } else {
    ToFloat(reader.index().tensors[place.scale].dtype, stored.data(),
            absl::MakeSpan(scales));
  }
  if (place.global_scale != kNoTie) {
    MQ_ASSIGN_OR_RETURN(const std::vector<float> global_scale,
                        ReadFloats(reader, place.global_scale, 0, 1));
    for (float& scale : scales) scale /= global_scale.front();
  }
  const bool is_signed = ZeroPointDType(place.scheme.format) == DType::kI8;
  const bool one_zero_point = zero_points.size() == 1;
  params->resize(count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t zero = zero_points[one_zero_point ? 0 : i];
    (*params)[i].scale = scales[i];
    (*params)[i].zero_point = is_signed ? static_cast<int8_t>(zero) : zero;
  }
  return absl::OkStatus();
}

}  // namespace monoquant
