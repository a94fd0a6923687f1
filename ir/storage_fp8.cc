// FP8 in blocks, as DeepSeek and Qwen publish it.

#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "fp8";

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kName, name, shape));
  if (scheme.format != NumberFormat::kFp8E4M3 ||
      scheme.granularity != Granularity::kBlock) {
    return NoPlace(kName, SchemeToString(scheme), "use fp8_e4m3 in blocks");
  }
  if (scheme.scale_dtype != DType::kF32) {
    return NoPlace(kName,
                   absl::StrCat(DTypeName(scheme.scale_dtype), " scales"),
                   "use F32, or leave out what asks for them");
  }
  // Transformers divides the weight by the number of scales to know the size of
  // a block, so that none may be cut off unless it is the only one.
  for (size_t dimension : {0, 1}) {
    if (shape[dimension] <= scheme.group_size) continue;
    MQ_RETURN_IF_ERROR(
        CheckMultiple(kName, shape, dimension, scheme.group_size));
  }
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  stored.scale->name = absl::StrCat(name, "_scale_inv");
  return stored;
}

DType ScaleDType(DType) { return DType::kF32; }

}  // namespace

const StorageRow kFp8Storage = {kName, Store, ScaleDType,
                                /*check_writable=*/nullptr};

}  // namespace monoquant::internal
