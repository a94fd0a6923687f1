// bitsandbytes: Params4bit with plain scales and with nested ones, Int8Params.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/status_macros.h"
#include "ir/storages.h"

namespace monoquant::internal {
namespace {

constexpr absl::string_view kName = "bitsandbytes";
constexpr absl::string_view kNestedName = "bitsandbytes-nested";

// The sizes of blocks that the library has kernels for.
constexpr int64_t kBlockSizes[] = {64, 128, 256, 512, 1024, 2048, 4096};

absl::Status Check(absl::string_view name, const QuantScheme& scheme,
                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(CheckIsLayerWeight(kName, name, shape));
  if (!IsOfBitsandbytes(scheme.format)) {
    return NoPlace(
        kName, NumberFormatName(scheme.format),
        BitsOfCode(scheme.format) == 8 ? "use llm_int8" : "use nf4 or fp4");
  }
  // Of 8 bits there are no other scales than those of rows.
  const bool has_block =
      scheme.granularity == Granularity::kGroup &&
      std::find(std::begin(kBlockSizes), std::end(kBlockSizes),
                scheme.group_size) != std::end(kBlockSizes);
  if (!has_block && !HasRowScales(scheme.format)) {
    return NoPlace(kName, SchemeToString(scheme),
                   "use groups of 64, or of another power of two to 4096");
  }
  if (scheme.scale_dtype != DType::kF32) {
    return NoPlace(kName,
                   absl::StrCat(DTypeName(scheme.scale_dtype), " scales"),
                   "use F32, or leave out what asks for them");
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredWeight> Store(absl::string_view name,
                                   const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(Check(name, scheme, shape));
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, StorePlain(name, scheme, shape));
  if (scheme.format == NumberFormat::kLlmInt8) {
    stored.scale->name = absl::StrCat(absl::StripSuffix(name, "weight"), "SCB");
    stored.constants = {{{absl::StrCat(name, "_format"), DType::kU8, {}},
                         ConstantKind::kWeightFormat,
                         /*optional=*/true}};
    return stored;
  }
  const int64_t bytes = stored.codes.shape[0] * stored.codes.shape[1];
  stored.codes.shape = {bytes, 1};
  stored.codes.shapes_read = ShapesRead::kFlat;
  stored.packing.first_code_high = true;
  const Shape& groups = stored.scale->shape;
  stored.scale = StoredPart{
      absl::StrCat(name, ".absmax"), DType::kF32, {groups[0] * groups[1]}};
  stored.constants = {{{absl::StrCat(name, ".quant_map"), DType::kF32, {16}},
                       ConstantKind::kCodebook},
                      {{absl::StrCat(name, ".quant_state.bitsandbytes__",
                                     NumberFormatName(scheme.format)),
                        DType::kU8,
                        {kQuantStateBytes},
                        ShapesRead::kLength},
                       ConstantKind::kQuantState}};
  return stored;
}

absl::StatusOr<StoredWeight> StoreNested(absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  if (!IsCodebook(scheme.format)) {
    return NoPlace(kNestedName, NumberFormatName(scheme.format),
                   "use nf4 or fp4");
  }
  MQ_ASSIGN_OR_RETURN(StoredWeight stored, Store(name, scheme, shape));
  stored.scale->dtype = DType::kU8;
  stored.packing.scale_block = kNestedBlock;
  for (StoredConstant& constant : stored.constants) {
    if (constant.kind != ConstantKind::kQuantState) continue;
    constant.part.shape = {kNestedQuantStateBytes};
  }
  const int64_t groups = stored.scale->shape[0];
  const int64_t blocks = groups / kNestedBlock + (groups % kNestedBlock != 0);
  stored.constants.push_back(
      {{absl::StrCat(name, ".nested_absmax"), DType::kF32, {blocks}},
       ConstantKind::kNestedScales});
  stored.constants.push_back(
      {{absl::StrCat(name, ".nested_quant_map"), DType::kF32, {256}},
       ConstantKind::kNestedCodebook});
  return stored;
}

DType ScaleDType(DType) { return DType::kF32; }

}  // namespace

const StorageRow kBitsandbytesStorage = {kName, Store, ScaleDType,
                                         /*check_writable=*/nullptr};
const StorageRow kBitsandbytesNestedStorage = {kNestedName, StoreNested,
                                               ScaleDType,
                                               /*check_writable=*/nullptr};

}  // namespace monoquant::internal
