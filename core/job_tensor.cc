#include "core/job_tensor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/nonfinite.h"
#include "core/registry.h"
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
                     const TensorPlan& tensor, uint64_t chunk_bytes)
    : reader_(reader), whole_plan_(plan), tensor_(tensor) {
  const Registry registry = DefaultRegistry();
  switch (tensor.action) {
    case Action::kTie:
      return;
    case Action::kCopy:
      pieces_ = CutCopy(tensor.dtype,
                        plan.manifest.tensors[tensor.output].byte_size,
                        chunk_bytes);
      return;
    case Action::kQuantize:
      break;
  }
  size_t slot_bytes = 0;
  if (IsInteger(tensor.scheme.format)) {
    observer_row_ = registry.FindObserver(tensor.observer);
    slot_bytes = observer_row_->bytes_per_slot;
    coder_.emplace(tensor.scheme, tensor.layout,
                   registry.FindAlgorithm(tensor.algorithm));
  }
  pieces_ = CutQuantize(tensor.dtype, tensor.scheme, tensor.layout, slot_bytes,
                        chunk_bytes);
  results_.resize(static_cast<size_t>(pieces_.cuts.size()));
  if (pieces_.two_trips) to_observe_ = pieces_.cuts.size();
}

uint64_t JobTensor::BytesOf(uint64_t piece) const {
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(tensor_.dtype).bits);
  return pieces_.cuts[piece].size() * bits / 8;
}

absl::StatusOr<absl::Span<const uint8_t>> JobTensor::ReadInput(
    const ElementRange& range, JobBuffers& buffers) {
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(tensor_.dtype).bits);
  const absl::Span<uint8_t> input = buffers.input.Get(range.size() * bits / 8);
  MQ_RETURN_IF_ERROR(
      reader_.Read(tensor_.input, range.begin, range.size(), input));
  return input;
}

absl::Status JobTensor::BadValue(const uint8_t* bytes, uint64_t element,
                                 absl::string_view problem) const {
  const CheckpointIndex& index = reader_.index();
  const TensorInfo& info = index.tensors[tensor_.input];
  return absl::FailedPreconditionError(absl::StrCat(
      index.path, ": tensor '", info.name, "' holds ",
      DescribeElement(info.dtype, bytes, element, info.shape), problem));
}

// Converts a tile of the piece `range`, whose bytes are `input`. Replaces NaN
// and infinite values if the recipe says so; otherwise they are an error unless
// `allow`. Returns how many there were.
absl::StatusOr<uint64_t> JobTensor::LoadTile(absl::Span<const uint8_t> input,
                                             const ElementRange& range,
                                             const ElementRange& tile,
                                             bool allow,
                                             absl::Span<float> values) const {
  const uint64_t element_bytes = FloatBytes(tensor_.dtype);
  const uint8_t* bytes = input.data() + tile.begin * element_bytes;
  ToFloat(tensor_.dtype, bytes, values);
  if (whole_plan_.nonfinite == Nonfinite::kZero) return ZeroNonfinite(values);
  const uint64_t count = CountNonfinite(values);
  if (count == 0 || allow) return count;
  const uint64_t first = FirstNonfinite(values);
  const bool kept = whole_plan_.nonfinite == Nonfinite::kKeep;
  return BadValue(bytes + first * element_bytes,
                  range.begin + tile.begin + first,
                  kept ? ", which no integer format can keep; leave it out of "
                         "the plan (FindNonfinite)"
                       : "; use --nonfinite keep to leave such a tensor in "
                         "float, or --nonfinite zero");
}

absl::Status JobTensor::Copy(const ElementRange& range, const Emit& emit,
                             JobBuffers& buffers) {
  MQ_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> input,
                      ReadInput(range, buffers));
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(tensor_.dtype).bits);
  return emit(tensor_.output, range.begin * bits / 8, input);
}

absl::Status JobTensor::Cast(uint64_t piece, const Emit& emit,
                             JobBuffers& buffers) {
  const ElementRange range = pieces_.cuts[piece];
  const Codec& codec = DefaultRegistry().GetCodec(tensor_.scheme.format);
  const uint64_t code_bytes = static_cast<uint64_t>(codec.bits) / 8;
  const bool keep = whole_plan_.nonfinite == Nonfinite::kKeep;
  PieceResult& result = results_[static_cast<size_t>(piece)];
  MQ_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> input,
                      ReadInput(range, buffers));
  const absl::Span<uint8_t> codes = buffers.codes.Get(range.size() * code_bytes);
  const Cuts tiles = CutTiles(range, range.size());
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    const ElementRange tile = tiles[t];
    const size_t size = static_cast<size_t>(tile.size());
    const absl::Span<float> values = absl::MakeSpan(buffers.values, size);
    const absl::Span<float> decoded = absl::MakeSpan(buffers.decoded, size);
    MQ_ASSIGN_OR_RETURN(const uint64_t nonfinite,
                        LoadTile(input, range, tile, keep, values));
    result.nonfinite += nonfinite;
    uint8_t* out = codes.data() + tile.begin * code_bytes;
    codec.encode(values, out);
    codec.decode(out, decoded);
    if (!keep && CountNonfinite(decoded) != 0) {
      const uint64_t first = FirstNonfinite(decoded);
      return BadValue(
          input.data() + (tile.begin + first) * FloatBytes(tensor_.dtype),
          range.begin + tile.begin + first,
          absl::StrCat(", beyond the range of ",
                       NumberFormatName(tensor_.scheme.format),
                       tensor_.scheme.format == NumberFormat::kFp16
                           ? "; use bf16, which has the range of float32"
                           : "; leave this tensor as it is",
                       ", or --nonfinite keep to store an infinity"));
    }
    result.error.Add(values, decoded);
  }
  return emit(tensor_.output, range.begin * code_bytes, codes);
}

absl::Status JobTensor::ObserveInput(absl::Span<const uint8_t> input,
                                     const ElementRange& range,
                                     const SlotRange& slots,
                                     JobBuffers& buffers,
                                     Observer& observer) const {
  const Cuts tiles = CutTiles(range, tensor_.layout.row);
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    const ElementRange tile = tiles[t];
    const absl::Span<float> values =
        absl::MakeSpan(buffers.values, static_cast<size_t>(tile.size()));
    MQ_RETURN_IF_ERROR(
        LoadTile(input, range, tile, /*allow=*/false, values).status());
    coder_->Observe(range.begin + tile.begin, values, slots, observer);
  }
  return absl::OkStatus();
}

absl::Status JobTensor::EncodeInput(absl::Span<const uint8_t> input,
                                    const ElementRange& range,
                                    const SlotRange& slots,
                                    absl::Span<const QParams> params,
                                    absl::Span<uint8_t> codes,
                                    JobBuffers& buffers,
                                    PieceResult* result) const {
  const CodeRows& rows = coder_->rows();
  const uint64_t first_byte = rows.ByteOf(range.begin);
  const Cuts tiles = CutTiles(range, tensor_.layout.row);
  for (uint64_t t = 0; t < tiles.size(); ++t) {
    const ElementRange tile = tiles[t];
    const uint64_t first = range.begin + tile.begin;
    const size_t size = static_cast<size_t>(tile.size());
    const absl::Span<float> values = absl::MakeSpan(buffers.values, size);
    const absl::Span<float> levels = absl::MakeSpan(buffers.levels, size);
    const absl::Span<float> decoded = absl::MakeSpan(buffers.decoded, size);
    MQ_ASSIGN_OR_RETURN(const uint64_t nonfinite,
                        LoadTile(input, range, tile, /*allow=*/false, values));
    result->nonfinite += nonfinite;
    coder_->Quantize(first, values, slots, params, levels);
    rows.Encode(first, levels, codes.data() + (rows.ByteOf(first) - first_byte));
    coder_->Dequantize(first, levels, slots, params, decoded);
    result->error.Add(values, decoded);
  }
  return absl::OkStatus();
}

// Emits what is stored of `params`, those of `slots`. A symmetric scheme has a
// single zero point; it comes with the first slot.
absl::Status JobTensor::EmitParams(const SlotRange& slots,
                                   absl::Span<const QParams> params,
                                   const Emit& emit,
                                   JobBuffers& buffers) const {
  static_assert(sizeof(float) == 4);
  const bool one_zero_point = tensor_.scheme.symmetric;
  for (size_t begin = 0; begin < params.size(); begin += kParamSlab) {
    const absl::Span<const QParams> slab = params.subspan(begin, kParamSlab);
    const uint64_t first = slots.first + begin;
    buffers.scales.clear();
    buffers.zero_points.clear();
    for (const QParams& p : slab) {
      buffers.scales.push_back(p.scale);
      buffers.zero_points.push_back(static_cast<uint8_t>(p.zero_point));
    }
    const uint8_t* scales =
        reinterpret_cast<const uint8_t*>(buffers.scales.data());
    MQ_RETURN_IF_ERROR(emit(tensor_.scale, first * sizeof(float),
                            absl::MakeSpan(scales, slab.size() * 4)));
    if (!one_zero_point) {
      MQ_RETURN_IF_ERROR(emit(tensor_.zero_point, first, buffers.zero_points));
    } else if (first == 0) {
      MQ_RETURN_IF_ERROR(
          emit(tensor_.zero_point, 0,
               absl::MakeConstSpan(buffers.zero_points).first(1)));
    }
  }
  return absl::OkStatus();
}

absl::Status JobTensor::Observe(uint64_t piece, const Emit& emit,
                                JobBuffers& buffers) {
  const ElementRange range = pieces_.cuts[piece];
  const SlotRange slots = SlotsOf(tensor_.layout, range.begin, range.size());
  MQ_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> input,
                      ReadInput(range, buffers));
  const std::unique_ptr<Observer> seen =
      observer_row_->create(static_cast<size_t>(slots.count));
  MQ_RETURN_IF_ERROR(ObserveInput(input, range, slots, buffers, *seen));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t num_params = static_cast<size_t>(tensor_.layout.num_params);
    if (observer_ == nullptr) observer_ = observer_row_->create(num_params);
    observer_->Merge(static_cast<size_t>(slots.first), *seen);
  }
  if (to_observe_.fetch_sub(1) != 1) return absl::OkStatus();

  // This was the last piece: nobody else touches the tensor in this phase.
  const SlotRange all = {0, tensor_.layout.num_params};
  params_.resize(static_cast<size_t>(all.count));
  for (size_t i = 0; i < params_.size(); ++i) {
    params_[i] = observer_->Compute(i, coder_->grid());
  }
  observer_.reset();
  return EmitParams(all, params_, emit, buffers);
}

absl::Status JobTensor::Quantize(uint64_t piece, const Emit& emit,
                                 JobBuffers& buffers) {
  const ElementRange range = pieces_.cuts[piece];
  const CodeRows& rows = coder_->rows();
  MQ_ASSIGN_OR_RETURN(const absl::Span<const uint8_t> input,
                      ReadInput(range, buffers));
  SlotRange slots = {0, tensor_.layout.num_params};
  absl::Span<const QParams> params = params_;
  if (!pieces_.two_trips) {
    slots = SlotsOf(tensor_.layout, range.begin, range.size());
    const std::unique_ptr<Observer> observer =
        observer_row_->create(static_cast<size_t>(slots.count));
    MQ_RETURN_IF_ERROR(ObserveInput(input, range, slots, buffers, *observer));
    buffers.params.resize(static_cast<size_t>(slots.count));
    for (size_t i = 0; i < buffers.params.size(); ++i) {
      buffers.params[i] = observer->Compute(i, coder_->grid());
    }
    params = buffers.params;
    MQ_RETURN_IF_ERROR(EmitParams(slots, params, emit, buffers));
  }
  const absl::Span<uint8_t> codes =
      buffers.codes.Get(rows.BytesOf(range.begin, range.size()));
  MQ_RETURN_IF_ERROR(EncodeInput(input, range, slots, params, codes, buffers,
                                 &results_[static_cast<size_t>(piece)]));
  return emit(tensor_.output, rows.ByteOf(range.begin), codes);
}

absl::Status JobTensor::Write(uint64_t piece, const Emit& emit,
                              JobBuffers& buffers) {
  if (tensor_.action == Action::kCopy) {
    return Copy(pieces_.cuts[piece], emit, buffers);
  }
  return IsInteger(tensor_.scheme.format) ? Quantize(piece, emit, buffers)
                                          : Cast(piece, emit, buffers);
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
