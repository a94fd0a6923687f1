// GPTQ in its two versions and AWQ, which have the same tensors and pack them
// in other orders.

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kGptq = "gptq";
constexpr absl::string_view kGptqV2 = "gptq-v2";
constexpr absl::string_view kAwq = "awq";

absl::Status NoScales(absl::string_view storage, DType dtype) {
  return NoPlace(storage, absl::StrCat(DTypeName(dtype), " scales"),
                 "use F16, or leave out what asks for them");
}

absl::Status CheckScheme(absl::string_view storage, const QuantScheme& scheme) {
  if (!HasZeroPoints(scheme.format)) {
    return NoPlace(storage, NumberFormatName(scheme.format),
                   storage == kAwq ? "use int4" : "use int4 or int8");
  }
  const bool by_row =
      scheme.granularity == Granularity::kAxis && scheme.axis == 0;
  if (scheme.granularity != Granularity::kGroup && !by_row) {
    return NoPlace(storage, SchemeToString(scheme),
                   "use groups, or a scale for each index of axis 0");
  }
  // The packing is for scales of two bytes.
  if (scheme.scale_dtype == DType::kF32) {
    return NoScales(storage, scheme.scale_dtype);
  }
  return absl::OkStatus();
}

// What both have in common.
absl::StatusOr<StoredWeight> StoreByGroups(absl::string_view name,
                                           const QuantScheme& scheme,
                                           absl::Span<const int64_t> shape) {
  MQ_ASSIGN_OR_RETURN(const ParamLayout layout,
                      ComputeParamLayout(scheme, shape));
  const absl::string_view base = absl::StripSuffix(name, "weight");
  const int64_t rows = shape[0];
  const int64_t groups =
      layout.param_shape.size() == 2 ? layout.param_shape[1] : 1;
  const bool is_signed = ZeroPointDType(scheme.format) == DType::kI8;
  const int64_t per_word = 32 / BitsOfCode(scheme.format);
  StoredWeight stored;
  stored.packing.row_bytes = 4;
  stored.packing.offset = is_signed;
  stored.codes = {absl::StrCat(base, "qweight"), DType::kI32, {}};
  stored.scale = StoredPart{
      absl::StrCat(base, "scales"), scheme.scale_dtype, {groups, rows}};
  stored.zero_point = StoredPart{
      absl::StrCat(base, "qzeros"), DType::kI32, {groups, rows / per_word}};
  return stored;
}

absl::StatusOr<StoredWeight> StoreGptqAs(absl::string_view storage,
                                         absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  const int64_t per_word = 32 / BitsOfCode(scheme.format);
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(storage, name, shape));
  MQ_RETURN_IF_ERROR(CheckScheme(storage, scheme));
  MQ_RETURN_IF_ERROR(CheckMultiple(storage, shape, 0, 8));
  MQ_RETURN_IF_ERROR(CheckMultiple(storage, shape, 1, per_word));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StoreByGroups(name, scheme, shape));
  stored.packing.order = CodeOrder::kColumnWords;
  stored.packing.zero_points_less_1 = storage == kGptq;
  stored.codes.shape = {shape[1] / per_word, shape[0]};
  stored.constants.push_back(
      {{absl::StrCat(absl::StripSuffix(name, "weight"), "g_idx"),
        DType::kI32,
        {shape[1]}},
       ConstantKind::kGroupIndex});
  return stored;
}

absl::StatusOr<StoredWeight> StoreGptq(absl::string_view name,
                                       const QuantScheme& scheme,
                                       absl::Span<const int64_t> shape) {
  return StoreGptqAs(kGptq, name, scheme, shape);
}

absl::StatusOr<StoredWeight> StoreGptqV2(absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  return StoreGptqAs(kGptqV2, name, scheme, shape);
}

absl::StatusOr<StoredWeight> StoreAwq(absl::string_view name,
                                      const QuantScheme& scheme,
                                      absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kAwq, name, shape));
  MQ_RETURN_IF_ERROR(CheckScheme(kAwq, scheme));
  if (BitsOfCode(scheme.format) != 4) {
    return NoPlace(kAwq, NumberFormatName(scheme.format), "use int4");
  }
  MQ_RETURN_IF_ERROR(CheckMultiple(kAwq, shape, 0, 8));
  MQ_RETURN_IF_ERROR(CheckMultiple(kAwq, shape, 1, 8));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StoreByGroups(name, scheme, shape));
  stored.packing.order = CodeOrder::kRowWords;
  stored.codes.shape = {shape[1], shape[0] / 8};
  return stored;
}

DType ScaleDType(DType) { return DType::kF16; }

absl::Status CheckWritableGptq(const QuantScheme& scheme,
                               absl::Span<const int64_t> shape) {
  if (scheme.scale_dtype != DType::kF16) {
    return NoScales(kGptq, scheme.scale_dtype);
  }
  return CheckMultiple(kGptq, shape, 0, 32);
}

absl::Status CheckWritableAwq(const QuantScheme& scheme,
                              absl::Span<const int64_t>) {
  if (scheme.scale_dtype == DType::kF16) return absl::OkStatus();
  return NoScales(kAwq, scheme.scale_dtype);
}

absl::Status CheckWritableGptqV2(const QuantScheme&,
                                 absl::Span<const int64_t>) {
  return OnlyRead(kGptqV2, kGptq);
}

}  // namespace

const StorageRow kGptqStorage = {kGptq, StoreGptq, ScaleDType,
                                 CheckWritableGptq};
const StorageRow kAwqStorage = {kAwq, StoreAwq, ScaleDType, CheckWritableAwq};
const StorageRow kGptqV2Storage = {kGptqV2, StoreGptqV2, ScaleDType,
                                   CheckWritableGptqV2};

}  // namespace monoquant::internal
