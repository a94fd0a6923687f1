// The element types that a checkpoint can hold, in one table.
//
// Every dtype of torch 2.13 and of safetensors 0.8 has a row. The row gives
// the spelling in both worlds and the size in bits; everything else in the
// house asks this table instead of keeping its own switch.

#ifndef MONOQUANT_IR_DTYPE_H_
#define MONOQUANT_IR_DTYPE_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

// The values are written into .mqir files: append, never renumber.
enum class DType : uint8_t {
  kBool = 0,
  kU8 = 1,
  kI8 = 2,
  kU16 = 3,
  kI16 = 4,
  kU32 = 5,
  kI32 = 6,
  kU64 = 7,
  kI64 = 8,
  kF16 = 9,
  kBF16 = 10,
  kF32 = 11,
  kF64 = 12,
  kC32 = 13,  // complex of two halves
  kC64 = 14,  // complex of two floats
  kC128 = 15,
  kF8E4M3 = 16,
  kF8E5M2 = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2FNUZ = 19,
  kF8E8M0 = 20,
  kF4 = 21,      // e2m1; shapes count 4-bit elements, as in safetensors (in
                 // torch, pairs of them)
  kF6E2M3 = 22,  // safetensors only
  kF6E3M2 = 23,  // safetensors only
  // torch's quantized storage types. Values of a quantized tensor are
  // (code - zero_point) * scale; here they are the bare codes. Where several
  // codes share a byte torch sets whole bytes aside for every row (and packs
  // the codes from the first of them on, across rows), so the shape here counts
  // the bytes: the last dimension is torch's divided by 2 or 4, rounded up.
  kQI8 = 24,
  kQU8 = 25,
  kQI32 = 26,
  kQU4x2 = 27,
  kQU2x4 = 28,
  // torch's placeholder integers: no arithmetic, one byte an element.
  kU1 = 29,
  kU2 = 30,
  kU3 = 31,
  kU4 = 32,
  kU5 = 33,
  kU6 = 34,
  kU7 = 35,
  kI1 = 36,
  kI2 = 37,
  kI3 = 38,
  kI4 = 39,
  kI5 = 40,
  kI6 = 41,
  kI7 = 42,
  // torch's opaque bit containers; shapes count containers.
  kBits1x8 = 43,
  kBits2x4 = 44,
  kBits4x2 = 45,
  kBits8 = 46,
  kBits16 = 47,
};

inline constexpr int kNumDTypes = 48;

enum class DTypeKind : uint8_t {
  kBool,
  kInteger,
  kFloat,    // fp16 and wider: what monoquant quantizes
  kNarrow,   // fp8, fp6, fp4: floats that are already small; copied
  kComplex,  // copied
  kOpaque,   // quantized codes, placeholder integers, bit containers; copied
};

struct DTypeInfo {
  DType dtype;
  // Spelling in safetensors; where safetensors has none (see in_safetensors),
  // monoquant's own upper-case spelling in the same manner ("C128", "QI8").
  // Unique; this is the spelling in all of monoquant's reports and files.
  absl::string_view name;
  // Spelling in torch without "torch." ("float32"); empty where torch has no
  // such type (F6_E2M3, F6_E3M2).
  absl::string_view torch_name;
  int bits;  // of one element as the shape counts it: 4 to 128
  DTypeKind kind;
  bool in_safetensors;
};

// All rows, ordered by enum value.
absl::Span<const DTypeInfo> AllDTypes();

// The row of `dtype`, which must be one of the enumerators.
const DTypeInfo& GetDTypeInfo(DType dtype);

// "F32", "BF16", ...
inline absl::string_view DTypeName(DType dtype) {
  return GetDTypeInfo(dtype).name;
}

// The inverse of DTypeName; nullopt for an unknown spelling.
std::optional<DType> DTypeFromName(absl::string_view name);

// From torch's spelling without "torch."; knows the aliases float, double,
// half, int, long, short, cfloat, cdouble and chalf as well.
std::optional<DType> DTypeFromTorchName(absl::string_view name);

// True for F16, BF16, F32 and F64: the types that can be quantized.
inline bool IsQuantizable(DType dtype) {
  return GetDTypeInfo(dtype).kind == DTypeKind::kFloat;
}

}  // namespace monoquant

#endif  // MONOQUANT_IR_DTYPE_H_
