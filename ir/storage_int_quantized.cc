// The formats of compressed-tensors for integers, in all variants that files
// have: packed into words, or one code a byte.

#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kPacked = "pack-quantized";
constexpr absl::string_view kBytes = "int-quantized";
constexpr absl::string_view kWritten = "compressed-tensors";

int64_t WordsOf(int64_t codes, int64_t per_word) {
  return codes / per_word + (codes % per_word != 0);
}

absl::Status Check(absl::string_view storage, absl::string_view name,
                   const QuantScheme& scheme, absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(storage, name, shape));
  const bool packed = storage == kPacked;
  const bool has_format = scheme.format == NumberFormat::kInt8 ||
                          (packed && scheme.format == NumberFormat::kInt4);
  if (!has_format) {
    return NoPlace(storage, NumberFormatName(scheme.format),
                   packed ? "use int4 or int8" : "use int8");
  }
  const bool fits =
      scheme.granularity == Granularity::kTensor ||
      scheme.granularity == Granularity::kGroup ||
      (scheme.granularity == Granularity::kAxis && scheme.axis == 0);
  if (!fits) {
    return NoPlace(storage, SchemeToString(scheme),
                   "use groups, or a scale for each index of axis 0");
  }
  return absl::OkStatus();
}

// Both have scales and zero points of two dimensions, but for those of the
// whole tensor.
absl::StatusOr<StoredWeight> StoreBytes(absl::string_view name,
                                        const QuantScheme& scheme,
                                        absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(Check(kBytes, name, scheme, shape));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  stored.scale->name = absl::StrCat(name, "_scale");
  Shape& params = stored.scale->shape;
  if (params.size() < 2) params.push_back(1);
  stored.zero_point.reset();
  if (!scheme.symmetric) {
    stored.zero_point =
        StoredPart{absl::StrCat(name, "_zero_point"), DType::kI8, params};
  }
  return stored;
}

absl::StatusOr<StoredWeight> StorePacked(absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(Check(kPacked, name, scheme, shape));
  QuantScheme bytes = scheme;
  bytes.format = NumberFormat::kInt8;
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StoreBytes(name, bytes, shape));
  const int64_t per_word = 32 / BitsOfCode(scheme.format);
  stored.packing.row_bytes = 4;
  stored.packing.offset = true;
  stored.codes = {absl::StrCat(name, "_packed"),
                  DType::kI32,
                  {shape[0], WordsOf(shape[1], per_word)}};
  if (stored.zero_point.has_value() &&
      scheme.granularity != Granularity::kTensor) {
    stored.packing.zero_point_words = true;
    stored.zero_point->dtype = DType::kI32;
    int64_t& rows = stored.zero_point->shape[0];
    rows = WordsOf(rows, per_word);
  }
  stored.constants.push_back({{absl::StrCat(name, "_shape"), DType::kI64, {2}},
                              ConstantKind::kDimensions});
  return stored;
}

DType ScaleDType(DType weight) { return weight; }

absl::Status CheckWritablePacked(const QuantScheme&,
                                 absl::Span<const int64_t>) {
  return OnlyRead(kPacked, kWritten);
}

absl::Status CheckWritableBytes(const QuantScheme&, absl::Span<const int64_t>) {
  return OnlyRead(kBytes, kWritten);
}

}  // namespace

const StorageRow kPackQuantizedStorage = {kPacked, StorePacked, ScaleDType,
                                          CheckWritablePacked};
const StorageRow kIntQuantizedStorage = {kBytes, StoreBytes, ScaleDType,
                                         CheckWritableBytes};

}  // namespace monoquant::internal
