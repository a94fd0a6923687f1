#include "core/job_tensor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/kernels/kernels.h"
#include "core/nonfinite.h"
#include "core/registry.h"
#include "core/zero_points.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::Span<uint8_t> GrowingBuffer::Get(uint64_t size) {
  if (size > capacity_) {
    bytes_.reset();
    bytes_.reset(new uint8_t[static_cast<size_t>(size)]);
    capacity_ = size;
  }
  return absl::MakeSpan(bytes_.get(), static_cast<size_t>(size));
}

JobTensor::JobTensor(const CheckpointReader& reader, const Plan& plan,
                     const TensorPlan& tensor, GlobalScale* global_scale,
                     uint64_t chunk_bytes, bool measure_errors)
    : reader_(reader),
      whole_plan_(plan),
      tensor_(tensor),
      global_scale_(global_scale),
      measure_errors_(measure_errors) {
  const Registry registry = DefaultRegistry();
  switch (tensor.action) {
    case Action::kTie:
      return;
    case Action::kCopy:
      pieces_ =
          CutCopy(tensor.dtype, reader.index().tensors[tensor.input].byte_size,
                  chunk_bytes);
      unfinished_ = pieces_.cuts.size();
      return;
    case Action::kQuantize:
      break;
  }
  size_t slot_bytes = 0;
  if (HasScales(tensor.scheme.format)) {
    observer_row_ = registry.FindObserver(tensor.observer);
    slot_bytes = observer_row_->bytes_per_slot;
    coder_.emplace(tensor.scheme, tensor.layout,
                   registry.FindAlgorithm(tensor.algorithm), tensor.packing);
    if (tensor.packing.order != CodeOrder::kRows) {
      order_.emplace(
          tensor.packing,
          static_cast<uint64_t>(registry.GetCodec(tensor.scheme.format).bits));
    }
  }
  pieces_ = CutQuantize(tensor.dtype, tensor.scheme, tensor.layout, slot_bytes,
                        chunk_bytes, tensor.packing);
  unfinished_ = pieces_.cuts.size();
  results_.resize(static_cast<size_t>(pieces_.cuts.size()));
  if (pieces_.two_trips) to_observe_ = pieces_.cuts.size();
  if (tensor.packing.scale_block > 1) {
    scale_sum_ = std::make_unique<ScaleSum>();
  }
  if (global_scale_ != nullptr) global_scale_->AddPieces(unfinished_);
}

absl::Status JobTensor::Restore(const FinishedPiece& finished) {
  const uint64_t count = pieces_.cuts.size();
  if (finished.piece == FinishedPiece::kScales && KeepsParams()) {
    scales_written_ = true;
    return absl::OkStatus();
  }
  if (finished.piece >= count || IsWritten(finished.piece)) {
    return InvalidArgumentError("a tensor of ", count, " pieces has no piece ",
                                finished.piece, " to take over");
  }
  const size_t index = static_cast<size_t>(finished.piece);
  written_.resize(static_cast<size_t>(count));
  written_[index] = true;
  --unfinished_;
  if (global_scale_ != nullptr) global_scale_->RemovePiece();
  if (!results_.empty()) {
    results_[index] = {finished.error, finished.nonfinite};
  }
  return absl::OkStatus();
}

uint64_t JobTensor::InputBytes(uint64_t elements) const {
  return elements * static_cast<uint64_t>(GetDTypeInfo(tensor_.dtype).bits) / 8;
}

uint64_t JobTensor::BytesOf(uint64_t index) const {
  return InputBytes(pieces_.cuts[index].size());
}

absl::StatusOr<JobTensor::Piece> JobTensor::Read(uint64_t index,
                                                 JobBuffers& buffers) const {
  const ElementRange range = pieces_.cuts[index];
  const absl::Span<uint8_t> input = buffers.input.Get(InputBytes(range.size()));
  MQ_RETURN_IF_ERROR(
      reader_.Read(tensor_.input, range.begin, range.size(), input));
  return Piece{index, range, input};
}

// The error for the element at `offset` of the piece.
absl::Status JobTensor::BadValue(const Piece& piece, uint64_t offset,
                                 absl::string_view problem) const {
  const CheckpointIndex& index = reader_.index();
  const TensorInfo& info = index.tensors[tensor_.input];
  return FailedPreconditionError(
      index.path, ": tensor ", QuotedName(info.name), " holds ",
      DescribeElement(info.dtype, piece.input.data() + InputBytes(offset),
                      piece.range.begin + offset, info.shape),
      problem);
}

// Converts a part of the piece. Replaces NaN and infinite values if the recipe
// says so; otherwise they are an error unless `allow`.
absl::StatusOr<JobTensor::Tile> JobTensor::LoadTile(const Piece& piece,
                                                    const ElementRange& range,
                                                    bool allow,
                                                    JobBuffers& buffers) const {
  const size_t size = static_cast<size_t>(range.size());
  const uint8_t* input = piece.input.data() + InputBytes(range.begin);
  const bool replace = whole_plan_.nonfinite == Nonfinite::kZero;
  Tile tile;
  tile.first = piece.range.begin + range.begin;
  if (tensor_.dtype == DType::kF32 && !replace) {
    // As it is: the buffer is aligned for it.
    tile.values =
        absl::MakeConstSpan(reinterpret_cast<const float*>(input), size);
  } else {
    const absl::Span<float> values = absl::MakeSpan(buffers.values, size);
    const bool finite = ToFloat(tensor_.dtype, input, values);
    tile.values = values;
    if (!finite && replace) tile.nonfinite = ZeroNonfinite(values);
    if (finite || replace) return tile;
  }
  tile.nonfinite = CountNonfinite(tile.values);
  if (tile.nonfinite == 0 || allow) return tile;
  const bool kept = whole_plan_.nonfinite == Nonfinite::kKeep;
  return BadValue(
      piece, range.begin + FirstNonfinite(tile.values),
      kept ? ", which no format with scales can keep; leave it out of "
             "the plan (NonfiniteSearch)"
           : "; use --nonfinite keep to leave such a tensor in "
             "float, or --nonfinite zero");
}

// ---------------------------------------------------------- copies, casts --

absl::Status JobTensor::Copy(const Piece& piece, EmitPiece emit,
                             JobBuffers& buffers) {
  if (DTypeOf(tensor_.output) == tensor_.dtype) {
    return emit(tensor_.output, InputBytes(piece.range.begin), piece.input);
  }
  // Halves that become F32, which is exact.
  const Cuts tiles = CutTiles(piece.range, piece.range.size());
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    const ElementRange tile = tiles[t];
    const absl::Span<float> values =
        absl::MakeSpan(buffers.decoded, static_cast<size_t>(tile.size()));
    ToFloat(tensor_.dtype, piece.input.data() + InputBytes(tile.begin), values);
    MQ_RETURN_IF_ERROR(emit(
        tensor_.output, (piece.range.begin + tile.begin) * sizeof(float),
        absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(values.data()),
                            values.size() * sizeof(float))));
  }
  return absl::OkStatus();
}

absl::Status JobTensor::Cast(const Piece& piece, EmitPiece emit,
                             JobBuffers& buffers) {
  const NumberFormat format = tensor_.scheme.format;
  const Codec& codec = DefaultRegistry().GetCodec(format);
  const uint64_t code_bytes = static_cast<uint64_t>(codec.bits) / 8;
  const bool keep = whole_plan_.nonfinite == Nonfinite::kKeep;
  PieceResult& result = results_[static_cast<size_t>(piece.index)];
  const absl::Span<uint8_t> codes =
      buffers.codes.Get(piece.range.size() * code_bytes);
  const Cuts tiles = CutTiles(piece.range, piece.range.size());
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    const ElementRange tile = tiles[t];
    MQ_ASSIGN_OR_RETURN(const Tile loaded,
                        LoadTile(piece, tile, keep, buffers));
    result.nonfinite += loaded.nonfinite;
    const absl::Span<float> decoded =
        absl::MakeSpan(buffers.decoded, loaded.values.size());
    uint8_t* out = codes.data() + tile.begin * code_bytes;
    codec.encode(loaded.values, out);
    codec.decode(out, decoded);
    if (!keep && CountNonfinite(decoded) != 0) {
      return BadValue(
          piece, tile.begin + FirstNonfinite(decoded),
          absl::StrCat(", beyond the range of ", NumberFormatName(format),
                       format == NumberFormat::kFp16
                           ? "; use bf16, which has the range of float32"
                           : "; leave this tensor as it is",
                       ", or --nonfinite keep to store an infinity"));
    }
    if (measure_errors_) result.error.Add(loaded.values, decoded);
  }
  return emit(tensor_.output, piece.range.begin * code_bytes, codes);
}

// ----------------------------------------------------- formats with scales --

absl::Status JobTensor::ObservePiece(const Piece& piece, const SlotRange& slots,
                                     Observer& observer,
                                     JobBuffers& buffers) const {
  const Cuts tiles = CutTiles(piece.range, tensor_.layout.row);
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    MQ_ASSIGN_OR_RETURN(const Tile tile,
                        LoadTile(piece, tiles[t], /*allow=*/false, buffers));
    coder_->Observe(tile.first, tile.values, slots, observer);
  }
  return absl::OkStatus();
}

absl::Status JobTensor::ObserveMagnitude(const Piece& piece,
                                         JobBuffers& buffers) const {
  ValueRange range;
  const Cuts tiles = CutTiles(piece.range, tensor_.layout.row);
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    MQ_ASSIGN_OR_RETURN(const Tile tile,
                        LoadTile(piece, tiles[t], /*allow=*/false, buffers));
    const size_t size = tile.values.size();
    ActiveKernels().extend_ranges(tile.values.data(), size, /*run=*/size,
                                  &range);
  }
  global_scale_->Observe(std::max(-range.min, range.max));
  return absl::OkStatus();
}

// Writes the codes of a tile to their place in `codes`, those of the piece.
void JobTensor::EncodeTile(const Piece& piece, const Tile& tile,
                           const SlotRange& slots,
                           absl::Span<const QParams> params,
                           absl::Span<uint8_t> codes, JobBuffers& buffers) {
  const CodeRows& rows = coder_->rows();
  PieceResult& result = results_[static_cast<size_t>(piece.index)];
  const size_t size = tile.values.size();
  uint8_t* const out =
      codes.data() + (rows.ByteOf(tile.first) - rows.ByteOf(piece.range.begin));
  const absl::Span<uint8_t> levels =
      absl::MakeSpan(rows.stores_levels() ? out : buffers.levels, size);
  const bool nested = scale_sum_ != nullptr;
  coder_->Quantize(tile.first, tile.values, slots, params, levels,
                   measure_errors_ && !nested ? &result.error : nullptr);
  if (measure_errors_ && nested) {
    // They are decoded with other scales than they were chosen for.
    const absl::Span<float> decoded = absl::MakeSpan(buffers.decoded, size);
    coder_->Dequantize(tile.first, levels, slots, buffers.nested.params,
                       decoded);
    result.error.Add(tile.values, decoded);
  }
  if (!rows.stores_levels()) rows.Pack(tile.first, levels, out);
  result.nonfinite += tile.nonfinite;
}

absl::Status JobTensor::EncodePiece(const Piece& piece, const SlotRange& slots,
                                    absl::Span<const QParams> params,
                                    absl::Span<uint8_t> codes,
                                    JobBuffers& buffers) {
  const Cuts tiles = CutTiles(piece.range, tensor_.layout.row);
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    MQ_ASSIGN_OR_RETURN(const Tile tile,
                        LoadTile(piece, tiles[t], /*allow=*/false, buffers));
    EncodeTile(piece, tile, slots, params, codes, buffers);
  }
  return absl::OkStatus();
}

// The parameters of a piece that has all values of its scales; `buffers.params`
// has those of the slots that it returns.
absl::StatusOr<SlotRange> JobTensor::ComputeParams(const Piece& piece,
                                                   JobBuffers& buffers) const {
  const SlotRange slots =
      SlotsOf(tensor_.layout, piece.range.begin, piece.range.size());
  const std::unique_ptr<Observer> observer =
      observer_row_->create(static_cast<size_t>(slots.count));
  MQ_RETURN_IF_ERROR(ObservePiece(piece, slots, *observer, buffers));
  buffers.params.resize(static_cast<size_t>(slots.count));
  observer->Compute(0, coder_->grid(), absl::MakeSpan(buffers.params));
  return slots;
}

absl::Status JobTensor::ObserveScales(const Piece& piece, JobBuffers& buffers) {
  MQ_RETURN_IF_ERROR(ComputeParams(piece, buffers).status());
  ScaleSum seen;
  seen.Add(buffers.params);
  const std::lock_guard<std::mutex> lock(mutex_);
  scale_sum_->Merge(seen);
  return absl::OkStatus();
}

// A piece whose scales are quantized, after its codes have been chosen for what
// they were before.
absl::Status JobTensor::QuantizeNested(const Piece& piece,
                                       absl::Span<uint8_t> codes,
                                       EmitPiece emit, JobBuffers& buffers) {
  MQ_ASSIGN_OR_RETURN(const SlotRange slots, ComputeParams(piece, buffers));
  QuantizeScales(buffers.params, ScaleOffset(), &buffers.nested);
  MQ_RETURN_IF_ERROR(EncodePiece(piece, slots, buffers.params, codes, buffers));
  return EmitNestedScales(slots.first, buffers.nested, emit);
}

// A piece that has all values of its scales. Where a tile has them too, it is
// read as floats once and stays in the cache from the first look to the codes.
absl::Status JobTensor::QuantizeWithin(const Piece& piece,
                                       absl::Span<uint8_t> codes,
                                       EmitPiece emit, JobBuffers& buffers) {
  const SlotRange slots =
      SlotsOf(tensor_.layout, piece.range.begin, piece.range.size());
  const std::unique_ptr<Observer> observer =
      observer_row_->create(static_cast<size_t>(slots.count));
  std::vector<QParams>& params = buffers.params;
  params.resize(static_cast<size_t>(slots.count));
  LevelGrid grid = coder_->grid();
  if (global_scale_ != nullptr) grid.global_scale = global_scale_->value();
  const auto compute = [&](const SlotRange& seen) {
    const size_t begin = static_cast<size_t>(seen.first - slots.first);
    observer->Compute(
        begin, grid,
        absl::MakeSpan(params).subspan(begin, static_cast<size_t>(seen.count)));
  };
  const std::optional<Cuts> tiles = CutSegments(piece.range, tensor_.layout);
  if (tiles.has_value()) {
    for (uint64_t t = 0; t < tiles->size(); ++t) {
      MQ_ASSIGN_OR_RETURN(const Tile tile, LoadTile(piece, (*tiles)[t],
                                                    /*allow=*/false, buffers));
      coder_->Observe(tile.first, tile.values, slots, *observer);
      compute(SlotsOf(tensor_.layout, tile.first, tile.values.size()));
      EncodeTile(piece, tile, slots, params, codes, buffers);
    }
  } else {
    MQ_RETURN_IF_ERROR(ObservePiece(piece, slots, *observer, buffers));
    compute(slots);
    MQ_RETURN_IF_ERROR(EncodePiece(piece, slots, params, codes, buffers));
  }
  return order_.has_value() ? EmitParamLines(piece.range, params, emit, buffers)
                            : EmitParams(slots.first, params, emit, buffers);
}

// Emits what the rows of a piece have of a tensor in WordOrder: `lines`, of
// which the tensor has `whole`, when `before` has gone before.
absl::Status JobTensor::EmitLines(size_t output, const Lines& whole,
                                  const Lines& before, const Lines& lines,
                                  const uint8_t* bytes, EmitPiece emit) {
  if (lines.bytes == whole.bytes) {
    return emit(output, 0, absl::MakeConstSpan(bytes, lines.size()));
  }
  for (uint64_t line = 0; line < lines.count; ++line) {
    MQ_RETURN_IF_ERROR(
        emit(output, line * whole.bytes + before.bytes,
             absl::MakeConstSpan(bytes + line * lines.bytes, lines.bytes)));
  }
  return absl::OkStatus();
}

// EmitParams in WordOrder, of whole rows.
absl::Status JobTensor::EmitParamLines(const ElementRange& range,
                                       absl::Span<const QParams> params,
                                       EmitPiece emit,
                                       JobBuffers& buffers) const {
  const ParamLayout& layout = tensor_.layout;
  const uint64_t groups = layout.row / layout.segment;
  const uint64_t rows = range.size() / layout.row;
  const uint64_t rows_before = range.begin / layout.row;
  buffers.scales.clear();
  buffers.zero_points.clear();
  for (const QParams& p : params) {
    buffers.scales.push_back(p.scale);
    buffers.zero_points.push_back(static_cast<uint8_t>(p.zero_point));
  }
  const DType dtype = tensor_.scheme.scale_dtype;
  const Lines scales = WordOrder::ScaleLines(rows, groups);
  // As they are computed, and behind them as they are stored.
  buffers.stored_scales.resize(2 * scales.size());
  uint8_t* const lines = buffers.stored_scales.data() + scales.size();
  FromFloat(dtype, buffers.scales, buffers.stored_scales.data());
  WordOrder::StoreScales(rows, groups, buffers.stored_scales.data(), lines);
  MQ_RETURN_IF_ERROR(EmitLines(
      tensor_.scale, WordOrder::ScaleLines(layout.num_rows, groups),
      WordOrder::ScaleLines(rows_before, groups), scales, lines, emit));
  order_->StoreZeroPoints(rows, groups, buffers.zero_points.data(), lines);
  return EmitLines(tensor_.zero_point,
                   order_->ZeroPointLines(layout.num_rows, groups),
                   order_->ZeroPointLines(rows_before, groups),
                   order_->ZeroPointLines(rows, groups), lines, emit);
}

// The zero points of `params`, those of the slots from `first` on: all of them,
// or a single one, which comes with the first slot. Of the type of its tensor.
absl::Status JobTensor::EmitZeroPoints(uint64_t first,
                                       absl::Span<const QParams> params,
                                       EmitPiece emit,
                                       JobBuffers& buffers) const {
  const OutputTensor& output = whole_plan_.manifest.tensors[tensor_.zero_point];
  if (output.shape.empty() && tensor_.scheme.symmetric) {
    params = params.first(first == 0 ? 1 : 0);
  }
  if (params.empty()) return absl::OkStatus();
  const size_t width = ZeroPointBytes(output.dtype);
  buffers.zero_points.resize(params.size() * width);
  uint8_t* next = buffers.zero_points.data();
  for (const QParams& p : params) {
    StoreZeroPoint(output.dtype, p.zero_point, next);
    next += width;
  }
  return emit(tensor_.zero_point, first * width, buffers.zero_points);
}

// Emits `params`, those of the slots from `first` on, as they are stored.
absl::Status JobTensor::EmitParams(uint64_t first,
                                   absl::Span<const QParams> params,
                                   EmitPiece emit, JobBuffers& buffers) const {
  const DType dtype = DTypeOf(tensor_.scale);
  const size_t scale_bytes = static_cast<size_t>(FloatBytes(dtype));
  size_t slab_size = std::min<size_t>(kParamSlab, params.size());
  // Wide zero points, and F64, in no more memory than others take.
  if (tensor_.zero_point != kNoTensor &&
      ZeroPointBytes(DTypeOf(tensor_.zero_point)) > 1) {
    slab_size = (slab_size + 3) / 4;
  }
  for (size_t begin = 0; begin < params.size(); begin += slab_size) {
    const absl::Span<const QParams> slab = params.subspan(begin, slab_size);
    const uint64_t slot = first + begin;
    buffers.scales.clear();
    for (const QParams& p : slab) buffers.scales.push_back(p.scale);
    if (global_scale_ != nullptr) {
      ScalesBelow(global_scale_->value(), slab, absl::MakeSpan(buffers.scales));
    }
    buffers.stored_scales.resize(slab.size() * scale_bytes);
    FromFloat(dtype, buffers.scales, buffers.stored_scales.data());
    MQ_RETURN_IF_ERROR(
        emit(tensor_.scale, slot * scale_bytes, buffers.stored_scales));
    if (tensor_.zero_point == kNoTensor) continue;
    MQ_RETURN_IF_ERROR(EmitZeroPoints(slot, slab, emit, buffers));
  }
  return absl::OkStatus();
}

// Scales that are quantized, those of the slots from `first` on.
absl::Status JobTensor::EmitNestedScales(uint64_t first,
                                         const NestedScales& nested,
                                         EmitPiece emit) const {
  MQ_RETURN_IF_ERROR(emit(tensor_.scale, first, nested.codes));
  for (const TensorPlan::Constant& constant : tensor_.constants) {
    if (constant.kind != ConstantKind::kNestedScales) continue;
    const uint64_t block = first / tensor_.packing.scale_block;
    MQ_RETURN_IF_ERROR(
        emit(constant.output, block * sizeof(float),
             absl::MakeConstSpan(
                 reinterpret_cast<const uint8_t*>(nested.block_scales.data()),
                 nested.block_scales.size() * sizeof(float))));
  }
  return absl::OkStatus();
}

// What follows from the scheme, the shape and the offset of scales, and comes
// with the first piece.
absl::Status JobTensor::EmitConstants(EmitPiece emit) const {
  const Shape& shape = reader_.index().tensors[tensor_.input].shape;
  std::optional<float> offset;
  if (scale_sum_ != nullptr) offset = ScaleOffset();
  for (const TensorPlan::Constant& constant : tensor_.constants) {
    // These come with all pieces.
    if (constant.kind == ConstantKind::kNestedScales) continue;
    MQ_RETURN_IF_ERROR(emit(constant.output, 0,
                            ConstantBytes(constant.kind, tensor_.scheme, shape,
                                          tensor_.dtype, offset)));
  }
  return absl::OkStatus();
}

// Comes with the first piece, too.
absl::Status JobTensor::EmitGlobalScale(EmitPiece emit) const {
  const float value = global_scale_->value();
  uint8_t bytes[sizeof(value)];
  FromFloat(DType::kF32, {&value, 1}, bytes);
  return emit(tensor_.global_scale, 0, bytes);
}

absl::Status JobTensor::Quantize(const Piece& piece, EmitPiece emit,
                                 JobBuffers& buffers) {
  const CodeRows& rows = coder_->rows();
  const size_t size =
      static_cast<size_t>(rows.BytesOf(piece.range.begin, piece.range.size()));
  // In WordOrder: packed by rows, and behind them as they are stored.
  const absl::Span<uint8_t> buffer =
      buffers.codes.Get(order_.has_value() ? 2 * size : size);
  const absl::Span<uint8_t> codes = buffer.first(size);
  if (KeepsParams()) {
    MQ_RETURN_IF_ERROR(EncodePiece(piece, {0, tensor_.layout.num_params},
                                   params_, codes, buffers));
  } else if (scale_sum_ != nullptr) {
    MQ_RETURN_IF_ERROR(QuantizeNested(piece, codes, emit, buffers));
  } else {
    MQ_RETURN_IF_ERROR(QuantizeWithin(piece, codes, emit, buffers));
  }
  if (piece.index == 0) MQ_RETURN_IF_ERROR(EmitConstants(emit));
  if (piece.index == 0 && global_scale_ != nullptr) {
    MQ_RETURN_IF_ERROR(EmitGlobalScale(emit));
  }
  if (!order_.has_value()) {
    return emit(tensor_.output, rows.ByteOf(piece.range.begin), codes);
  }
  const ParamLayout& layout = tensor_.layout;
  const uint64_t num_rows = piece.range.size() / layout.row;
  uint8_t* const lines = buffer.data() + size;
  order_->StoreCodes(num_rows, layout.row, codes.data(), lines);
  return EmitLines(
      tensor_.output, order_->CodeLines(layout.num_rows, layout.row),
      order_->CodeLines(piece.range.begin / layout.row, layout.row),
      order_->CodeLines(num_rows, layout.row), lines, emit);
}

// ------------------------------------------------------------------ pieces --

absl::StatusOr<bool> JobTensor::Observe(uint64_t index, EmitPiece emit,
                                        JobBuffers& buffers) {
  MQ_ASSIGN_OR_RETURN(const Piece piece, Read(index, buffers));
  if (global_scale_ != nullptr) {
    MQ_RETURN_IF_ERROR(ObserveMagnitude(piece, buffers));
    return false;
  }
  if (scale_sum_ != nullptr) {
    MQ_RETURN_IF_ERROR(ObserveScales(piece, buffers));
    return false;
  }
  const SlotRange slots =
      SlotsOf(tensor_.layout, piece.range.begin, piece.range.size());
  const std::unique_ptr<Observer> seen =
      observer_row_->create(static_cast<size_t>(slots.count));
  MQ_RETURN_IF_ERROR(ObservePiece(piece, slots, *seen, buffers));
  const size_t num_params = static_cast<size_t>(tensor_.layout.num_params);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (observer_ == nullptr) observer_ = observer_row_->create(num_params);
    observer_->Merge(static_cast<size_t>(slots.first), *seen);
  }
  if (to_observe_.fetch_sub(1) != 1) return false;

  // This was the last piece: nobody else touches the tensor in this phase.
  params_.resize(num_params);
  observer_->Compute(0, coder_->grid(), absl::MakeSpan(params_));
  observer_.reset();
  if (!scales_written_) {
    MQ_RETURN_IF_ERROR(EmitParams(0, params_, emit, buffers));
  }
  return true;
}

absl::Status JobTensor::Write(uint64_t index, EmitPiece emit,
                              JobBuffers& buffers) {
  MQ_ASSIGN_OR_RETURN(const Piece piece, Read(index, buffers));
  if (tensor_.action == Action::kCopy) {
    return Copy(piece, emit, buffers);
  }
  return HasScales(tensor_.scheme.format) ? Quantize(piece, emit, buffers)
                                          : Cast(piece, emit, buffers);
}

PieceResult JobTensor::ResultOf(uint64_t index) const {
  return results_.empty() ? PieceResult{}
                          : results_[static_cast<size_t>(index)];
}

PieceResult JobTensor::Result() const {
  PieceResult sum;
  for (const PieceResult& piece : results_) {
    sum.error.Merge(piece.error);
    sum.nonfinite += piece.nonfinite;
  }
  return sum;
}

}  // namespace monoquant
