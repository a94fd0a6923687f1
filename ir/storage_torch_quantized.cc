#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "torch-quantized";

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  if (scheme.format != NumberFormat::kInt8 &&
      scheme.format != NumberFormat::kUInt8) {
    return NoPlace(kName, NumberFormatName(scheme.format), "use int8 or uint8");
  }
  if (scheme.granularity != Granularity::kTensor &&
      scheme.granularity != Granularity::kAxis) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use one scale, or one for each index of an axis");
  }
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  stored.scale->dtype = DType::kF64;
  stored.zero_point->dtype = DType::kI64;
  stored.zero_point->shape = stored.scale->shape;
  return stored;
}

DType ScaleDType(DType) { return DType::kF32; }

absl::Status CheckNotWritten(const QuantScheme&, absl::Span<const int64_t>) {
  return OnlyRead(kName, "torch-ao");
}

}  // namespace

const StorageRow kTorchQuantizedStorage = {kName, Store, ScaleDType,
                                           CheckNotWritten};

}  // namespace monoquant::internal
