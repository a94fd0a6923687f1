// What is written for the programs that read compressed-tensors: the one of its
// formats that goes with the scheme, as far as they load it.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "compressed-tensors";

// The scheme of NVFP4, or one of the MX formats.
bool IsNamed(const QuantScheme& scheme) {
  return std::any_of(
      NamedSchemes().begin(), NamedSchemes().end(),
      [&](const NamedScheme& named) { return named.scheme == scheme; });
}

absl::Status CheckFormat(const QuantScheme& scheme) {
  if (scheme.format == NumberFormat::kFp4E2M1 ||
      !IsScaleDType(scheme.scale_dtype)) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use mxfp4, mxfp8 or nvfp4, or other scales");
  }
  if (scheme.format != NumberFormat::kInt4 &&
      scheme.format != NumberFormat::kInt8 &&
      scheme.format != NumberFormat::kFp8E4M3) {
    return NoPlace(kName, NumberFormatName(scheme.format),
                   "use int4, int8, fp8_e4m3, mxfp4, mxfp8 or nvfp4");
  }
  if (!scheme.symmetric) {
    return NoPlace(kName,
                   "asymmetric schemes that the programs which read it load",
                   "use symmetric");
  }
  return absl::OkStatus();
}

absl::Status Check(const QuantScheme& scheme, absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckFormat(scheme));
  const bool is_float = scheme.format == NumberFormat::kFp8E4M3;
  bool fits = false;
  switch (scheme.granularity) {
    case Granularity::kTensor:
      fits = is_float;
      break;
    case Granularity::kAxis:
      fits = scheme.axis == 0;
      break;
    case Granularity::kGroup:
      fits = !is_float;
      break;
    case Granularity::kBlock:
      fits = is_float;
      // What the library can decode.
      MQ_RETURN_IF_ERROR(CheckMultiple(
          kName, shape, 1, std::max<int64_t>(1, scheme.group_size)));
      break;
  }
  if (!fits) {
    return NoPlace(
        kName, SchemeToString(scheme),
        is_float ? "use a scale for each index of axis 0, for each block, "
                   "or one for the tensor"
                 : "use groups, or a scale for each index of axis 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kName, name, shape));
  const bool named = IsNamed(scheme);
  if (!named) MQ_RETURN_IF_ERROR(Check(scheme, shape));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  stored.zero_point.reset();
  stored.scale->name = absl::StrCat(name, "_scale");
  Shape& scales = stored.scale->shape;
  if (scales.size() < 2) scales.push_back(1);
  if (named) {
    // Pairs of codes lie in a byte as in kPlain.
    if (BitsOfCode(scheme.format) == 4) {
      stored.codes.name = absl::StrCat(name, "_packed");
    }
    if (scheme.scale_dtype == DType::kF8E8M0) stored.scale->dtype = DType::kU8;
    if (stored.global_scale.has_value()) {
      stored.global_scale =
          StoredPart{absl::StrCat(name, "_global_scale"), DType::kF32, {1}};
    }
    return stored;
  }
  const bool packed = scheme.format == NumberFormat::kInt4 ||
                      scheme.granularity == Granularity::kGroup;
  if (!packed) return stored;
  const int64_t per_word = 32 / BitsOfCode(scheme.format);
  stored.packing.row_bytes = 4;
  stored.packing.offset = true;
  stored.codes = {absl::StrCat(name, "_packed"),
                  DType::kI32,
                  {shape[0], shape[1] / per_word + (shape[1] % per_word != 0)}};
  stored.constants.push_back({{absl::StrCat(name, "_shape"), DType::kI64, {2}},
                              ConstantKind::kDimensions});
  return stored;
}

DType ScaleDType(DType weight) { return weight; }

}  // namespace

const StorageRow kCompressedTensorsStorage = {kName, Store, ScaleDType,
                                              nullptr};

}  // namespace monoquant::internal
