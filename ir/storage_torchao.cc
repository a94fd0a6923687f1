// torchao: Int8Tensor and Float8Tensor with a scale for each row, which are
// written; and with the scales of other blocks, beside
// IntxUnpackedToInt8Tensor, which are read.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "torchao";
constexpr absl::string_view kBlocksName = "torchao-blocks";

// What the names of the parts of a weight begin with.
std::string PartsOf(absl::string_view name) {
  return absl::StrCat(absl::StripSuffix(name, "weight"), "_weight_");
}

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kName, name, shape));
  const bool is_int8 = scheme.format == NumberFormat::kInt8;
  if (!is_int8 && scheme.format != NumberFormat::kFp8E4M3) {
    return NoPlace(kName, NumberFormatName(scheme.format),
                   "use int8 or fp8_e4m3");
  }
  if (!scheme.symmetric) {
    return NoPlace(kName, SchemeToString(scheme), "use symmetric");
  }
  if (scheme.granularity != Granularity::kAxis || scheme.axis != 0) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use a scale for each index of axis 0");
  }
  if (scheme.scale_dtype != DType::kF32) {
    return NoPlace(kName,
                   absl::StrCat(DTypeName(scheme.scale_dtype), " scales"),
                   "use F32, or leave out what asks for them");
  }
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  const std::string base = PartsOf(name);
  stored.codes.name = absl::StrCat(base, "qdata");
  stored.scale->name = absl::StrCat(base, "scale");
  stored.scale->shape = {shape[0], 1};
  stored.zero_point.reset();
  if (is_int8) {
    stored.constants.push_back(
        {{absl::StrCat(base, "zero_point"), DType::kI8, {shape[0], 1}},
         ConstantKind::kZeroPoints});
  }
  return stored;
}

bool IsFloat8(NumberFormat format) {
  return format == NumberFormat::kFp8E4M3 || format == NumberFormat::kFp8E5M2;
}

absl::Status CheckBlocks(const QuantScheme& scheme) {
  const bool is_float = IsFloat8(scheme.format);
  if (!is_float && scheme.format != NumberFormat::kInt4 &&
      scheme.format != NumberFormat::kInt8) {
    return NoPlace(kBlocksName, NumberFormatName(scheme.format),
                   "use int4, int8, fp8_e4m3 or fp8_e5m2");
  }
  if (!IsScaleDType(scheme.scale_dtype)) {
    return NoPlace(kBlocksName,
                   absl::StrCat(DTypeName(scheme.scale_dtype), " scales"),
                   "use F32, F16 or BF16");
  }
  const bool other_axis =
      scheme.granularity == Granularity::kAxis && scheme.axis != 0;
  const bool squares = scheme.granularity == Granularity::kBlock && !is_float;
  if (!other_axis && !squares) return absl::OkStatus();
  return NoPlace(kBlocksName, SchemeToString(scheme),
                 "use groups, or a scale for each index of axis 0");
}

absl::StatusOr<StoredWeight> StoreBlocks(absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kBlocksName, name, shape));
  MQ_RETURN_IF_ERROR(CheckBlocks(scheme));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  const std::string base = PartsOf(name);
  stored.codes.name = absl::StrCat(base, "qdata");
  if (scheme.format == NumberFormat::kInt4) {
    stored.codes.dtype = DType::kI8;
    stored.codes.shape.assign(shape.begin(), shape.end());
    stored.packing.code_bytes = true;
  }
  stored.scale->name = absl::StrCat(base, "scale");
  stored.scale->shape.resize(2, 1);
  stored.zero_point.reset();
  if (IsFloat8(scheme.format)) return stored;
  StoredPart zero_point = {absl::StrCat(base, "zero_point"), DType::kI8,
                           stored.scale->shape};
  if (scheme.symmetric) {
    stored.constants.push_back({std::move(zero_point),
                                ConstantKind::kZeroPoints,
                                /*optional=*/true});
  } else {
    stored.zero_point = std::move(zero_point);
  }
  return stored;
}

DType ScaleDType(DType) { return DType::kF32; }

absl::Status CheckWritableBlocks(const QuantScheme&,
                                 absl::Span<const int64_t>) {
  return OnlyRead(kBlocksName, kName);
}

}  // namespace

const StorageRow kTorchaoStorage = {kName, Store, ScaleDType,
                                    /*check_writable=*/nullptr};
const StorageRow kTorchaoBlocksStorage = {kBlocksName, StoreBlocks, ScaleDType,
                                          CheckWritableBlocks};

}  // namespace monoquant::internal
