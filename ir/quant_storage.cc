#include "ir/quant_storage.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/codebooks.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/storages.h"

namespace monoquant {
namespace {

// By enum value.
constexpr const internal::StorageRow* kStorages[] = {
    &internal::kPlainStorage,         &internal::kCompressedTensorsStorage,
    &internal::kGptqStorage,          &internal::kAwqStorage,
    &internal::kFp8Storage,           &internal::kTorchaoStorage,
    &internal::kTorchAoStorage,       &internal::kPackQuantizedStorage,
    &internal::kIntQuantizedStorage,  &internal::kGptqV2Storage,
    &internal::kBitsandbytesStorage,  &internal::kBitsandbytesNestedStorage,
    &internal::kTorchaoBlocksStorage, &internal::kTorchQuantizedStorage,
};

void PutLittleEndian(uint64_t value, int bytes, std::vector<uint8_t>* out) {
  for (int i = 0; i < bytes; ++i) {
    out->push_back(static_cast<uint8_t>(value >> 8 * i));
  }
}

void PutFloats(absl::Span<const float> numbers, std::vector<uint8_t>* out) {
  for (const float number : numbers) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof(bits));
    PutLittleEndian(bits, 4, out);
  }
}

// What bitsandbytes wants to know of a weight, filled up with spaces.
std::string QuantState(const QuantScheme& scheme,
                       absl::Span<const int64_t> shape, DType dtype,
                       std::optional<float> nested_offset) {
  Json sizes{Json::Array()};
  for (int64_t dim : shape) sizes.Append(dim);
  Json state;
  state.Set("quant_type", NumberFormatName(scheme.format));
  state.Set("blocksize", scheme.group_size);
  state.Set("dtype", GetDTypeInfo(dtype).torch_name);
  state.Set("shape", std::move(sizes));
  if (nested_offset.has_value()) {
    state.Set("nested_blocksize", kNestedBlock);
    state.Set("nested_dtype", "float32");
    state.Set("nested_offset", static_cast<double>(*nested_offset));
  }
  std::string text = state.ToString();
  text.resize(
      static_cast<size_t>(nested_offset.has_value() ? kNestedQuantStateBytes
                                                    : kQuantStateBytes),
      ' ');
  return text;
}

}  // namespace

absl::string_view StorageName(QuantStorage storage) {
  return kStorages[static_cast<size_t>(storage)]->name;
}

std::optional<QuantStorage> StorageFromName(absl::string_view name) {
  for (size_t i = 0; i < std::size(kStorages); ++i) {
    if (kStorages[i]->name == name) return static_cast<QuantStorage>(i);
  }
  return std::nullopt;
}

std::string StorageNames() {
  return absl::StrJoin(kStorages, ", ",
                       [](std::string* out, const internal::StorageRow* row) {
                         absl::StrAppend(out, row->name);
                       });
}

std::string StoredSchemeToString(QuantStorage storage,
                                 const QuantScheme& scheme) {
  const bool nested = storage == QuantStorage::kBitsandbytesNested;
  return absl::StrCat(SchemeToString(scheme), nested ? ", double quant" : "");
}

DType DefaultScaleDType(QuantStorage storage, DType weight) {
  return kStorages[static_cast<size_t>(storage)]->scale_dtype(weight);
}

absl::StatusOr<StoredWeight> StoreWeight(QuantStorage storage,
                                         absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape) {
  // A cast is a weight like any other.
  if (!HasScales(scheme.format)) {
    return internal::StorePlain(name, scheme, shape);
  }
  return kStorages[static_cast<size_t>(storage)]->store(name, scheme, shape);
}

absl::Status CheckWritable(QuantStorage storage, const QuantScheme& scheme,
                           absl::Span<const int64_t> shape) {
  const auto check = kStorages[static_cast<size_t>(storage)]->check_writable;
  if (!HasScales(scheme.format) || check == nullptr) return absl::OkStatus();
  return check(scheme, shape);
}

std::vector<uint8_t> ConstantBytes(ConstantKind kind, const QuantScheme& scheme,
                                   absl::Span<const int64_t> shape, DType dtype,
                                   std::optional<float> nested_offset) {
  std::vector<uint8_t> bytes;
  switch (kind) {
    case ConstantKind::kDimensions:
      for (int64_t dim : shape) {
        PutLittleEndian(static_cast<uint64_t>(dim), 8, &bytes);
      }
      break;
    case ConstantKind::kGroupIndex: {
      const int64_t columns = shape.back();
      const bool grouped = scheme.granularity == Granularity::kGroup;
      const int64_t group = grouped ? scheme.group_size : columns;
      bytes.reserve(static_cast<size_t>(columns) * 4);
      for (int64_t column = 0; column < columns; ++column) {
        PutLittleEndian(static_cast<uint64_t>(column / group), 4, &bytes);
      }
      break;
    }
    case ConstantKind::kZeroPoints:
      if (const auto layout = ComputeParamLayout(scheme, shape); layout.ok()) {
        bytes.resize(static_cast<size_t>(layout->num_params));
      }
      break;
    case ConstantKind::kCodebook:
      PutFloats(scheme.format == NumberFormat::kNf4 ? kNf4Numbers : kFp4Numbers,
                &bytes);
      break;
    case ConstantKind::kQuantState: {
      const std::string text = QuantState(scheme, shape, dtype, nested_offset);
      bytes.assign(text.begin(), text.end());
      break;
    }
    case ConstantKind::kWeightFormat:
      bytes = {0};
      break;
    case ConstantKind::kNestedCodebook:
      PutFloats(kNestedNumbers, &bytes);
      break;
    case ConstantKind::kNestedScales:
      break;
  }
  return bytes;
}

bool CanHaveShape(const StoredPart& part, absl::Span<const int64_t> shape) {
  if (shape == absl::MakeConstSpan(part.shape)) return true;
  switch (part.shapes_read) {
    case ShapesRead::kOne:
      break;
    case ShapesRead::kFlat:
      return shape ==
             absl::MakeConstSpan(part.shape).first(part.shape.size() - 1);
    case ShapesRead::kLength:
      return shape.size() == 1 && shape[0] > 0 &&
             shape[0] <= kMaxQuantStateBytes;
  }
  return false;
}

namespace internal {

absl::Status NoPlace(absl::string_view storage, absl::string_view what,
                     absl::string_view remedy) {
  return FailedPreconditionError(storage, " has no place for ", what, "; ",
                                 remedy);
}

absl::Status OnlyRead(absl::string_view storage, absl::string_view other) {
  return FailedPreconditionError(storage, " is read but not written; use ",
                                 other);
}

absl::Status CheckIsLayerWeight(absl::string_view storage,
                                absl::string_view name,
                                absl::Span<const int64_t> shape) {
  constexpr absl::string_view kRemedy = "leave it as it is (--skip)";
  if (shape.size() != 2) {
    return NoPlace(
        storage,
        absl::StrCat("a quantized tensor of ", shape.size(), " dimensions"),
        kRemedy);
  }
  if (!absl::EndsWith(name, ".weight")) {
    return NoPlace(storage,
                   "a quantized tensor whose name does not end in '.weight'",
                   kRemedy);
  }
  return absl::OkStatus();
}

absl::Status CheckMultiple(absl::string_view storage,
                           absl::Span<const int64_t> shape, size_t dimension,
                           int64_t factor) {
  if (shape[dimension] % factor == 0) return absl::OkStatus();
  return NoPlace(storage,
                 absl::StrCat("a weight of shape ", ShapeToString(shape),
                              ", whose ", dimension == 0 ? "rows" : "columns",
                              " are no multiple of ", factor),
                 "leave it as it is (--skip)");
}

}  // namespace internal
}  // namespace monoquant
