#include "ir/quant_storage.h"

#include <algorithm>
#include <iterator>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// By enum value.
constexpr absl::string_view kNames[] = {"plain", "compressed-tensors"};

absl::StatusOr<StoredWeight> StorePlain(absl::string_view name,
                                        const QuantScheme& scheme,
                                        absl::Span<const int64_t> shape) {
  MQ_ASSIGN_OR_RETURN(const ParamLayout layout,
                      ComputeParamLayout(scheme, shape));
  StoredWeight stored;
  stored.codes.name = std::string(name);
  stored.codes.dtype = CodeDType(scheme.format);
  MQ_ASSIGN_OR_RETURN(stored.codes.shape, CodeShape(scheme.format, shape));
  if (HasScales(scheme.format)) {
    stored.scale = StoredPart{absl::StrCat(name, ".scale"), scheme.scale_dtype,
                              layout.param_shape};
  }
  if (HasZeroPoints(scheme.format)) {
    stored.zero_point = StoredPart{
        absl::StrCat(name, ".zero_point"), ZeroPointDType(scheme.format),
        scheme.symmetric ? Shape() : layout.param_shape};
  }
  return stored;
}

absl::Status NoPlace(absl::string_view what, absl::string_view remedy) {
  return absl::FailedPreconditionError(
      absl::StrCat("compressed-tensors has no place for ", what, "; ", remedy));
}

// Bits of a code.
int64_t BitsOf(NumberFormat format) {
  return format == NumberFormat::kInt4 ? 4 : 8;
}

absl::Status CheckCompressedTensors(absl::string_view name,
                                    const QuantScheme& scheme,
                                    absl::Span<const int64_t> shape) {
  const NumberFormat format = scheme.format;
  if (shape.size() != 2) {
    return NoPlace(
        absl::StrCat("a quantized tensor of ", shape.size(), " dimensions"),
        "leave it as it is (--skip)");
  }
  if (!absl::EndsWith(name, ".weight")) {
    return NoPlace("a quantized tensor whose name does not end in '.weight'",
                   "leave it as it is (--skip)");
  }
  if (format != NumberFormat::kInt4 && format != NumberFormat::kInt8 &&
      format != NumberFormat::kFp8E4M3) {
    return NoPlace(NumberFormatName(format), "use int4, int8 or fp8_e4m3");
  }
  if (!scheme.symmetric) {
    return NoPlace("asymmetric schemes that the programs which read it load",
                   "use symmetric");
  }
  const bool is_float = format == NumberFormat::kFp8E4M3;
  const bool fits = scheme.granularity == Granularity::kGroup ? !is_float
                    : scheme.granularity == Granularity::kTensor
                        ? is_float
                        : scheme.axis == 0;
  if (!fits) {
    return NoPlace(SchemeToString(scheme),
                   is_float
                       ? "use a scale for each index of axis 0, or one "
                         "for the tensor"
                       : "use groups, or a scale for each index of axis 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredWeight> StoreCompressedTensors(
    absl::string_view name, const QuantScheme& scheme,
    absl::Span<const int64_t> shape) {
  // A cast is a weight like any other.
  if (!HasScales(scheme.format)) return StorePlain(name, scheme, shape);
  MQ_RETURN_IF_ERROR(CheckCompressedTensors(name, scheme, shape));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  stored.zero_point.reset();
  stored.scale->name = absl::StrCat(name, "_scale");
  Shape& scales = stored.scale->shape;
  if (scales.size() < 2) scales.push_back(1);
  const bool packed = scheme.format == NumberFormat::kInt4 ||
                      scheme.granularity == Granularity::kGroup;
  if (!packed) return stored;
  const int64_t per_word = 32 / BitsOf(scheme.format);
  stored.packing = {/*row_bytes=*/4, /*offset=*/true};
  stored.codes = {absl::StrCat(name, "_packed"),
                  DType::kI32,
                  {shape[0], shape[1] / per_word + (shape[1] % per_word != 0)}};
  stored.shape = StoredPart{absl::StrCat(name, "_shape"), DType::kI64, {2}};
  return stored;
}

}  // namespace

absl::string_view StorageName(QuantStorage storage) {
  return kNames[static_cast<size_t>(storage)];
}

std::optional<QuantStorage> StorageFromName(absl::string_view name) {
  const auto* found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<QuantStorage>(found - std::begin(kNames));
}

absl::StatusOr<StoredWeight> StoreWeight(QuantStorage storage,
                                         absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  return storage == QuantStorage::kCompressedTensors
             ? StoreCompressedTensors(name, scheme, shape)
             : StorePlain(name, scheme, shape);
}

}  // namespace monoquant
