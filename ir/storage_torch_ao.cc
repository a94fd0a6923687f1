#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"
#include "ir/storages.h"
#include "ir/torch_ao.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "torch-ao";

absl::Status Check(absl::string_view name, const QuantScheme& scheme,
                   absl::Span<const int64_t> shape) {
  constexpr absl::string_view kLeave = "leave it as it is (--skip)";
  if (shape.size() < 2 || shape.size() > 5) {
    return NoPlace(
        kName,
        absl::StrCat("a quantized tensor of ", shape.size(), " dimensions"),
        kLeave);
  }
  const auto weight = ParseTorchAoWeight(name, shape, scheme.format);
  if (!weight.has_value()) {
    return NoPlace(kName,
                   "a quantized tensor whose name is not that of a weight of a "
                   "Linear, an LSTM, a GRU, a cell, a convolution or an "
                   "embedding inside of a model",
                   kLeave);
  }
  if (weight->kind != TorchAoModule::kEmbedding &&
      scheme.format != NumberFormat::kInt8) {
    return NoPlace(kName, NumberFormatName(scheme.format), "use int8");
  }
  // Those that do, of embeddings, round the product of zero point and scale.
  if (!scheme.symmetric) {
    return NoPlace(kName,
                   "asymmetric schemes, which not all of torch's kernels know",
                   "use symmetric");
  }
  // One scale for all would be a number in the pickle, which is settled before
  // any scale is.
  if (scheme.granularity != Granularity::kAxis || scheme.axis != 0) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use a scale for each index of axis 0");
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(Check(name, scheme, shape));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  const bool is_embedding = scheme.format == NumberFormat::kUInt8;
  stored.scale->dtype = is_embedding ? DType::kF32 : DType::kF64;
  stored.zero_point->dtype = is_embedding ? DType::kF32 : DType::kI64;
  stored.zero_point->shape = stored.scale->shape;
  return stored;
}

DType ScaleDType(DType) { return DType::kF32; }

}  // namespace

const StorageRow kTorchAoStorage = {kName, Store, ScaleDType,
                                    /*check_writable=*/nullptr};

}  // namespace monoquant::internal
