#include "frontends/tensors/affine_codes.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "frontends/tensors/element_ops.h"
#include "frontends/tensors/narrow_floats.h"
#include "frontends/tensors/param_window.h"
#include "frontends/tensors/strided.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

struct CodeType {
  DType dtype;
  uint64_t per_item;
  int64_t min;
  int64_t max;
};

constexpr CodeType kCodeTypes[] = {
    {DType::kQI8, 1, -128, 127},
    {DType::kQU8, 1, 0, 255},
    {DType::kQI32, 1, std::numeric_limits<int32_t>::min(),
     std::numeric_limits<int32_t>::max()},
    {DType::kQU4x2, 2, 0, 15},
    {DType::kQU2x4, 4, 0, 3},
};

const CodeType* FindCodeType(DType dtype) {
  for (const CodeType& type : kCodeTypes) {
    if (type.dtype == dtype) return &type;
  }
  return nullptr;
}

absl::Status CheckZeroPoint(const CodeType& type, int64_t zero_point) {
  if (zero_point >= type.min && zero_point <= type.max) {
    return absl::OkStatus();
  }
  return DataLossError("zero point ", zero_point, " is no code of ",
                       DTypeName(type.dtype));
}

bool IsInteger(DType dtype) {
  switch (dtype) {
    case DType::kU8:
    case DType::kI8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
      return true;
    default:
      return false;
  }
}

// The little-endian integer at `bytes`, of a type that IsInteger.
int64_t ReadInteger(DType dtype, const uint8_t* bytes) {
  const auto size = static_cast<size_t>(GetDTypeInfo(dtype).bits / 8);
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) value = value << 8 | bytes[i];
  const bool is_negative = dtype != DType::kU8 && bytes[size - 1] >= 0x80;
  if (is_negative && size < 8) value |= ~uint64_t{0} << (8 * size);
  return static_cast<int64_t>(value);
}

// Elements [first, first + count) of a placed tensor.
absl::StatusOr<std::vector<uint8_t>> ReadPlaced(const PlacedTensor& placed,
                                                DType dtype, uint64_t first,
                                                uint64_t count) {
  std::vector<uint8_t> bytes(
      static_cast<size_t>(count * placed.view.item_size));
  MQ_RETURN_IF_ERROR(ReadStrided(
      placed.view, first, count,
      [&](uint64_t offset, absl::Span<uint8_t> dst) {
        return placed.storage->ReadAt(offset, dst);
      },
      absl::MakeSpan(bytes)));
  if (placed.big_endian) SwapByteOrder(dtype, absl::MakeSpan(bytes));
  return bytes;
}

// What torch computes with.
struct Param {
  double scale;
  float zero_point;
};

absl::Status LoadParams(const AffineCodes& codes, uint64_t first,
                        absl::Span<Param> params) {
  const ChannelParams& channels = *codes.channels;
  MQ_ASSIGN_OR_RETURN(
      const std::vector<uint8_t> scales,
      ReadPlaced(channels.scales, channels.scale_dtype, first, params.size()));
  MQ_ASSIGN_OR_RETURN(
      const std::vector<uint8_t> zero_points,
      ReadPlaced(channels.zero_points, channels.zero_point_dtype, first,
                 params.size()));
  const bool is_integer = IsInteger(channels.zero_point_dtype);
  for (size_t i = 0; i < params.size(); ++i) {
    const double scale =
        ReadFloat(channels.scale_dtype,
                  scales.data() + i * channels.scales.view.item_size);
    const uint8_t* zero_point =
        zero_points.data() + i * channels.zero_points.view.item_size;
    if (is_integer) {
      const int64_t integer =
          ReadInteger(channels.zero_point_dtype, zero_point);
      MQ_RETURN_IF_ERROR(CheckZeroPoint(*FindCodeType(codes.dtype), integer));
      params[i] = {scale, static_cast<float>(integer)};
    } else {
      params[i] = {
          static_cast<double>(static_cast<float>(scale)),
          static_cast<float>(ReadFloat(channels.zero_point_dtype, zero_point))};
    }
  }
  return absl::OkStatus();
}

// Writes value(code_at(i)) for i from `begin` to `end`. A value is written over
// codes that have been read.
template <typename CodeAt, typename Value>
void DecodeRun(CodeAt code_at, Value value, uint64_t begin, uint64_t end,
               uint8_t* dst) {
  for (uint64_t i = begin; i < end; ++i) {
    const float decoded = value(code_at(i));
    std::memcpy(dst + i * sizeof(float), &decoded, sizeof(float));
  }
}

// code_at(i): code number first + i.
template <typename CodeAt>
absl::Status Decode(const AffineCodes& codes, CodeAt code_at, uint64_t first,
                    uint64_t count, uint8_t* dst) {
  if (codes.channels == nullptr) {
    const auto scale = static_cast<float>(codes.scale);
    const auto zero_point = static_cast<uint32_t>(codes.zero_point);
    DecodeRun(
        code_at,
        [=](int32_t code) {
          // In 32 bits, wrapping around, as in torch.
          const uint32_t steps = static_cast<uint32_t>(code) - zero_point;
          return static_cast<float>(static_cast<int32_t>(steps)) * scale;
        },
        0, count, dst);
    return absl::OkStatus();
  }
  ParamWindow<Param> window(codes.channels->grid.blocks(),
                            [&](uint64_t begin, absl::Span<Param> params) {
                              return LoadParams(codes, begin, params);
                            });
  return ForEachBlock(codes.channels->grid, first, count, &window,
                      [&](const Param& param, uint64_t begin, uint64_t end) {
                        // With a float32 scale the product is exact in double,
                        // so this is a float32 product too.
                        DecodeRun(
                            code_at,
                            [=](int32_t code) {
                              const float steps =
                                  static_cast<float>(code) - param.zero_point;
                              return static_cast<float>(
                                  static_cast<double>(steps) * param.scale);
                            },
                            begin, end, dst);
                      });
}

std::string ViewIdentity(const PlacedTensor& placed) {
  std::string key =
      absl::StrCat(reinterpret_cast<uintptr_t>(placed.storage.get()), "+",
                   placed.view.offset);
  for (const StridedView::Dim& dim : placed.view.dims) {
    absl::StrAppend(&key, ",", dim.size, "x", dim.stride);
  }
  return key;
}

}  // namespace

std::string AffineCodes::Identity() const {
  if (channels != nullptr) {
    return absl::StrCat(DTypeName(dtype), " axis ", channels->axis, " ",
                        ViewIdentity(channels->scales), " ",
                        ViewIdentity(channels->zero_points));
  }
  uint64_t bits;
  std::memcpy(&bits, &scale, sizeof(bits));
  return absl::StrCat(DTypeName(dtype), " ", bits, " ", zero_point);
}

absl::StatusOr<std::shared_ptr<const ChannelParams>> MakeChannelParams(
    const Shape& shape, int64_t axis, PlacedParams scales,
    PlacedParams zero_points) {
  if (axis < 0 || static_cast<size_t>(axis) >= shape.size()) {
    return DataLossError("quantized along axis ", axis, ", but its shape is ",
                         ShapeToString(shape));
  }
  const int64_t size = shape[static_cast<size_t>(axis)];
  if (scales.info.shape != Shape{size} ||
      zero_points.info.shape != Shape{size}) {
    return DataLossError(
        "quantized along axis ", axis, " of ", ShapeToString(shape),
        ", but its scales are ", ShapeToString(scales.info.shape),
        " and its zero points ", ShapeToString(zero_points.info.shape));
  }
  if (!IsQuantizable(scales.info.dtype) ||
      (!IsInteger(zero_points.info.dtype) &&
       !IsQuantizable(zero_points.info.dtype))) {
    return DataLossError("scales of ", DTypeName(scales.info.dtype),
                         " and zero points of ",
                         DTypeName(zero_points.info.dtype), " make no sense");
  }
  for (const PlacedParams* params : {&scales, &zero_points}) {
    if (params->placed.conj || params->placed.neg) {
      return DataLossError(
          "scales and zero points that are negative views make no sense");
    }
  }
  auto params = std::make_shared<ChannelParams>();
  params->axis = static_cast<size_t>(axis);
  params->grid = BlockGrid::ForAxis(shape, params->axis);
  params->scales = std::move(scales.placed);
  params->zero_points = std::move(zero_points.placed);
  params->scale_dtype = scales.info.dtype;
  params->zero_point_dtype = zero_points.info.dtype;
  return params;
}

absl::StatusOr<ParamSummary> SummarizeParams(const AffineCodes& codes) {
  ParamSummary summary;
  if (codes.channels == nullptr) {
    MQ_RETURN_IF_ERROR(
        CheckZeroPoint(*FindCodeType(codes.dtype), codes.zero_point));
    summary.zero_point = static_cast<float>(codes.zero_point);
    return summary;
  }
  const uint64_t blocks = codes.channels->grid.blocks();
  std::vector<Param> params;
  for (uint64_t first = 0; first < blocks; first += params.size()) {
    params.resize(
        static_cast<size_t>(std::min(blocks - first, kParamsInPiece)));
    MQ_RETURN_IF_ERROR(LoadParams(codes, first, absl::MakeSpan(params)));
    if (first == 0) summary.zero_point = params[0].zero_point;
    for (const Param& param : params) {
      summary.has_float32_scales &=
          param.scale == static_cast<double>(static_cast<float>(param.scale));
      if (param.zero_point != summary.zero_point) summary.zero_point.reset();
    }
  }
  return summary;
}

absl::Status ReadAsFloats(AffineCodes codes, const Shape& shape,
                          PlacedTensor* placed, TensorInfo* info) {
  const CodeType* type = FindCodeType(info->dtype);
  if (type == nullptr) {
    return DataLossError("quantized, but its elements are ",
                         DTypeName(info->dtype), ", which are no codes");
  }
  if (codes.channels == nullptr) {
    MQ_RETURN_IF_ERROR(CheckZeroPoint(*type, codes.zero_point));
  }
  const absl::StatusOr<uint64_t> byte_size = ByteSize(DType::kF32, shape);
  if (!byte_size.ok()) {
    return DataLossError(byte_size.status().message());
  }
  codes.dtype = type->dtype;
  codes.per_item = type->per_item;
  placed->codes = std::make_shared<const AffineCodes>(std::move(codes));
  info->dtype = DType::kF32;
  info->shape = shape;
  info->byte_size = *byte_size;
  return absl::OkStatus();
}

absl::Status DecodeAffine(const AffineCodes& codes, uint64_t first,
                          uint64_t count, absl::Span<uint8_t> dst) {
  const auto item_size =
      static_cast<uint64_t>(GetDTypeInfo(codes.dtype).bits / 8);
  // Of the first item, these codes are not asked for.
  const uint64_t skipped = first % codes.per_item;
  const uint64_t items = (skipped + count - 1) / codes.per_item + 1;
  const uint8_t* stored = dst.data() + dst.size() - items * item_size;
  const auto decode = [&](auto code_at) {
    return Decode(codes, code_at, first, count, dst.data());
  };
  switch (codes.dtype) {
    case DType::kQI8:
      return decode([=](uint64_t i) -> int32_t {
        return static_cast<int8_t>(stored[i]);
      });
    case DType::kQU8:
      return decode([=](uint64_t i) -> int32_t { return stored[i]; });
    case DType::kQI32:
      return decode([=](uint64_t i) {
        int32_t code;
        std::memcpy(&code, stored + i * sizeof(code), sizeof(code));
        return code;
      });
    case DType::kQU4x2:
      return decode([=](uint64_t i) -> int32_t {
        const uint64_t place = skipped + i;
        return stored[place / 2] >> (place % 2 * 4) & 15;
      });
    default:
      return decode([=](uint64_t i) -> int32_t {
        const uint64_t place = skipped + i;
        return stored[place / 4] >> (place % 4 * 2) & 3;
      });
  }
}

}  // namespace monoquant
