#include "frontends/torch/place_quantized.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/read_range.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/quantizer.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::StatusOr<PlacedParams> PlaceNamed(const TorchTensor& tensor,
                                        std::string name,
                                        const PlaceTorchTensor& place) {
  PlacedParams params;
  params.info.name = std::move(name);
  MQ_ASSIGN_OR_RETURN(params.placed, place(tensor, &params.info));
  return params;
}

// One number as a tensor without dimensions.
template <typename T>
absl::StatusOr<PlacedParams> PlaceNumber(T number, DType dtype,
                                         absl::string_view file,
                                         std::string name) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  StridedTensor tensor;
  tensor.storage_bytes = bytes.size();
  tensor.dtype = dtype;
  PlacedParams params;
  params.info.name = std::move(name);
  MQ_ASSIGN_OR_RETURN(params.placed,
                      PlaceTensor(tensor,
                                  std::make_shared<MemoryStorage>(
                                      std::string(file), "pickle", bytes),
                                  /*big_endian=*/false, &params.info));
  return params;
}

// What reading the parameters may cost: each piece of them, all of their
// storage if that is compressed.
bool SpendOnParams(const std::vector<PlacedParams>& params,
                   ParamBudget* budget) {
  for (const PlacedParams& each : params) {
    const uint64_t pieces =
        each.info.byte_size / sizeof(double) / kParamsInPiece + 1;
    uint64_t bytes = 0;
    if (!CheckedMul(each.placed.storage->size(), pieces, &bytes)) return false;
    bytes = std::max(bytes, each.info.byte_size);
    if (bytes > *budget) return false;
    *budget -= bytes;
  }
  return true;
}

}  // namespace

absl::Status PlaceAsFloats(const TorchTensor& tensor, absl::string_view file,
                           const PlaceTorchTensor& place, PlacedTensor* placed,
                           TensorInfo* info) {
  const TorchQuantizer& quantizer = *tensor.quantizer;
  AffineCodes codes;
  codes.scale = quantizer.scale;
  codes.zero_point = quantizer.zero_point;
  if (quantizer.is_per_channel) {
    MQ_ASSIGN_OR_RETURN(PlacedParams scales,
                        PlaceNamed(quantizer.scales, info->name, place));
    MQ_ASSIGN_OR_RETURN(PlacedParams zero_points,
                        PlaceNamed(quantizer.zero_points, info->name, place));
    auto channels = MakeChannelParams(
        tensor.size, quantizer.axis, std::move(scales), std::move(zero_points));
    if (!channels.ok()) return WithTensor(file, info->name, channels.status());
    codes.channels = *std::move(channels);
  }
  return WithTensor(file, info->name,
                    ReadAsFloats(std::move(codes), tensor.size, placed, info));
}

absl::StatusOr<std::vector<PlacedParams>> PlaceParams(
    const TorchTensor& tensor, absl::string_view file, absl::string_view name,
    const PlaceTorchTensor& place) {
  const TorchQuantizer& quantizer = *tensor.quantizer;
  const std::string scale_name = absl::StrCat(name, ".scale");
  const std::string zero_point_name = absl::StrCat(name, ".zero_point");
  std::vector<PlacedParams> params(2);
  if (quantizer.is_per_channel) {
    MQ_ASSIGN_OR_RETURN(params[0],
                        PlaceNamed(quantizer.scales, scale_name, place));
    MQ_ASSIGN_OR_RETURN(
        params[1], PlaceNamed(quantizer.zero_points, zero_point_name, place));
  } else {
    MQ_ASSIGN_OR_RETURN(
        params[0], PlaceNumber(quantizer.scale, DType::kF64, file, scale_name));
    MQ_ASSIGN_OR_RETURN(
        params[1],
        PlaceNumber(quantizer.zero_point, DType::kI64, file, zero_point_name));
  }
  return params;
}

std::optional<QuantScheme> FindModuleScheme(
    const TorchTensor& tensor, absl::string_view name,
    const std::vector<PlacedParams>& params, ParamBudget* budget) {
  const bool is_signed = tensor.dtype == DType::kQI8;
  if ((!is_signed && tensor.dtype != DType::kQU8) || tensor.conj ||
      tensor.neg) {
    return std::nullopt;
  }
  const TorchQuantizer& quantizer = *tensor.quantizer;
  QuantScheme scheme;
  scheme.format = is_signed ? NumberFormat::kInt8 : NumberFormat::kUInt8;
  scheme.granularity = Granularity::kTensor;
  AffineCodes codes;
  codes.dtype = tensor.dtype;
  codes.zero_point = quantizer.zero_point;
  if (quantizer.is_per_channel) {
    const auto channels =
        MakeChannelParams(tensor.size, quantizer.axis, params[0], params[1]);
    if (!channels.ok() || params[0].info.dtype != DType::kF64 ||
        params[1].info.dtype != DType::kI64) {
      return std::nullopt;
    }
    if (!SpendOnParams(params, budget)) return std::nullopt;
    codes.channels = *channels;
    scheme.granularity = Granularity::kAxis;
    scheme.axis = static_cast<int>(quantizer.axis);
  }
  const absl::StatusOr<ParamSummary> summary = SummarizeParams(codes);
  if (!summary.ok() || !summary->has_float32_scales) return std::nullopt;
  scheme.symmetric = summary->zero_point == (is_signed ? 0.0f : 128.0f);
  if (!StoreWeight(QuantStorage::kTorchQuantized, name, scheme, tensor.size)
           .ok()) {
    return std::nullopt;
  }
  return scheme;
}

std::string DescribeQuantized(const TorchTensor& tensor) {
  return absl::StrCat(DTypeName(tensor.dtype), tensor.quantizer->is_per_channel
                                                   ? " per channel"
                                                   : " per tensor");
}

}  // namespace monoquant
