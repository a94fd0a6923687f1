// torchao, one row of scales: Int8Tensor and Float8Tensor.

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "torchao";

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
  const std::string base =
      absl::StrCat(absl::StripSuffix(name, "weight"), "_weight_");
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

DType ScaleDType(DType) { return DType::kF32; }

}  // namespace

const StorageRow kTorchaoStorage = {kName, Store, ScaleDType,
                                    /*check_writable=*/nullptr};

}  // namespace monoquant::internal
