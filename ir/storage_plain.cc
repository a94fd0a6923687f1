#include "absl/strings/str_cat.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "plain";

DType ScaleDType(DType) { return DType::kF32; }

}  // namespace

absl::StatusOr<StoredWeight> StorePlain(absl::string_view name,
                                        const QuantScheme& scheme,
                                        absl::Span<const int64_t> shape) {
  MQ_ASSIGN_OR_RETURN(const ParamLayout layout,
                      ComputeParamLayout(scheme, shape));
  if (HasGlobalScale(scheme) && (scheme.granularity != Granularity::kGroup ||
                                 scheme.group_size > kLargestGlobalGroup)) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use groups of 16, or leave it as it is (--skip)");
  }
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
  if (HasGlobalScale(scheme)) {
    stored.global_scale =
        StoredPart{absl::StrCat(name, ".global_scale"), DType::kF32, Shape()};
  }
  return stored;
}

const StorageRow kPlainStorage = {kName, StorePlain, ScaleDType, nullptr};

}  // namespace monoquant::internal
