#include "frontends/torch/storage_types.h"

#include "absl/strings/string_view.h"

namespace monoquant {
namespace {

struct Row {
  absl::string_view name;
  std::optional<DType> dtype;
};

constexpr Row kRows[] = {
    {"FloatStorage", DType::kF32},
    {"HalfStorage", DType::kF16},
    {"BFloat16Storage", DType::kBF16},
    {"DoubleStorage", DType::kF64},
    {"LongStorage", DType::kI64},
    {"IntStorage", DType::kI32},
    {"ShortStorage", DType::kI16},
    {"CharStorage", DType::kI8},
    {"ByteStorage", DType::kU8},
    {"BoolStorage", DType::kBool},
    {"ComplexHalfStorage", DType::kC32},
    {"ComplexFloatStorage", DType::kC64},
    {"ComplexDoubleStorage", DType::kC128},
    {"QInt8Storage", DType::kQI8},
    {"QUInt8Storage", DType::kQU8},
    {"QInt32Storage", DType::kQI32},
    {"QUInt4x2Storage", DType::kQU4x2},
    {"QUInt2x4Storage", DType::kQU2x4},
    {"UntypedStorage", std::nullopt},
};

constexpr absl::string_view kModules[] = {"torch", "torch.cuda",
                                          "torch.storage"};

}  // namespace

std::optional<StorageType> FindStorageType(const PickleGlobal& global) {
  for (const absl::string_view module : kModules) {
    if (global.module != module) continue;
    for (const Row& row : kRows) {
      if (global.name == row.name) return StorageType{row.dtype};
    }
  }
  return std::nullopt;
}

}  // namespace monoquant
