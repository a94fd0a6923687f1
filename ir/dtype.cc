#include "ir/dtype.h"

#include <array>
#include <cstddef>
#include <utility>

namespace monoquant {
namespace {

using K = DTypeKind;

constexpr std::array<DTypeInfo, kNumDTypes> kRows = {{
    {DType::kBool, "BOOL", "bool", 8, K::kBool, true},
    {DType::kU8, "U8", "uint8", 8, K::kInteger, true},
    {DType::kI8, "I8", "int8", 8, K::kInteger, true},
    {DType::kU16, "U16", "uint16", 16, K::kInteger, true},
    {DType::kI16, "I16", "int16", 16, K::kInteger, true},
    {DType::kU32, "U32", "uint32", 32, K::kInteger, true},
    {DType::kI32, "I32", "int32", 32, K::kInteger, true},
    {DType::kU64, "U64", "uint64", 64, K::kInteger, true},
    {DType::kI64, "I64", "int64", 64, K::kInteger, true},
    {DType::kF16, "F16", "float16", 16, K::kFloat, true},
    {DType::kBF16, "BF16", "bfloat16", 16, K::kFloat, true},
    {DType::kF32, "F32", "float32", 32, K::kFloat, true},
    {DType::kF64, "F64", "float64", 64, K::kFloat, true},
    {DType::kC32, "C32", "complex32", 32, K::kComplex, false},
    {DType::kC64, "C64", "complex64", 64, K::kComplex, true},
    {DType::kC128, "C128", "complex128", 128, K::kComplex, false},
    {DType::kF8E4M3, "F8_E4M3", "float8_e4m3fn", 8, K::kNarrow, true},
    {DType::kF8E5M2, "F8_E5M2", "float8_e5m2", 8, K::kNarrow, true},
    {DType::kF8E4M3FNUZ, "F8_E4M3FNUZ", "float8_e4m3fnuz", 8, K::kNarrow, true},
    {DType::kF8E5M2FNUZ, "F8_E5M2FNUZ", "float8_e5m2fnuz", 8, K::kNarrow, true},
    {DType::kF8E8M0, "F8_E8M0", "float8_e8m0fnu", 8, K::kNarrow, true},
    {DType::kF4, "F4", "float4_e2m1fn_x2", 4, K::kNarrow, true},
    {DType::kF6E2M3, "F6_E2M3", "", 6, K::kNarrow, true},
    {DType::kF6E3M2, "F6_E3M2", "", 6, K::kNarrow, true},
    {DType::kQI8, "QI8", "qint8", 8, K::kOpaque, false},
    {DType::kQU8, "QU8", "quint8", 8, K::kOpaque, false},
    {DType::kQI32, "QI32", "qint32", 32, K::kOpaque, false},
    {DType::kQU4x2, "QU4X2", "quint4x2", 8, K::kOpaque, false},
    {DType::kQU2x4, "QU2X4", "quint2x4", 8, K::kOpaque, false},
    {DType::kU1, "U1", "uint1", 8, K::kOpaque, false},
    {DType::kU2, "U2", "uint2", 8, K::kOpaque, false},
    {DType::kU3, "U3", "uint3", 8, K::kOpaque, false},
    {DType::kU4, "U4", "uint4", 8, K::kOpaque, false},
    {DType::kU5, "U5", "uint5", 8, K::kOpaque, false},
    {DType::kU6, "U6", "uint6", 8, K::kOpaque, false},
    {DType::kU7, "U7", "uint7", 8, K::kOpaque, false},
    {DType::kI1, "I1", "int1", 8, K::kOpaque, false},
    {DType::kI2, "I2", "int2", 8, K::kOpaque, false},
    {DType::kI3, "I3", "int3", 8, K::kOpaque, false},
    {DType::kI4, "I4", "int4", 8, K::kOpaque, false},
    {DType::kI5, "I5", "int5", 8, K::kOpaque, false},
    {DType::kI6, "I6", "int6", 8, K::kOpaque, false},
    {DType::kI7, "I7", "int7", 8, K::kOpaque, false},
    {DType::kBits1x8, "BITS1X8", "bits1x8", 8, K::kOpaque, false},
    {DType::kBits2x4, "BITS2X4", "bits2x4", 8, K::kOpaque, false},
    {DType::kBits4x2, "BITS4X2", "bits4x2", 8, K::kOpaque, false},
    {DType::kBits8, "BITS8", "bits8", 8, K::kOpaque, false},
    {DType::kBits16, "BITS16", "bits16", 16, K::kOpaque, false},
}};

// GetDTypeInfo indexes by enum value.
constexpr bool RowsAreInEnumOrder() {
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<size_t>(kRows[i].dtype) != i) return false;
  }
  return true;
}
static_assert(RowsAreInEnumOrder());

constexpr std::pair<absl::string_view, DType> kTorchAliases[] = {
    {"float", DType::kF32},  {"double", DType::kF64},   {"half", DType::kF16},
    {"int", DType::kI32},    {"long", DType::kI64},     {"short", DType::kI16},
    {"cfloat", DType::kC64}, {"cdouble", DType::kC128}, {"chalf", DType::kC32},
};

}  // namespace

absl::Span<const DTypeInfo> AllDTypes() { return kRows; }

const DTypeInfo& GetDTypeInfo(DType dtype) {
  return kRows[static_cast<size_t>(dtype)];
}

std::optional<DType> DTypeFromName(absl::string_view name) {
  for (const DTypeInfo& row : kRows) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

std::optional<DType> DTypeFromTorchName(absl::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const DTypeInfo& row : kRows) {
    if (row.torch_name == name) return row.dtype;
  }
  for (const auto& [alias, dtype] : kTorchAliases) {
    if (alias == name) return dtype;
  }
  return std::nullopt;
}

}  // namespace monoquant
