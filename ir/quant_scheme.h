// How a tensor's values become small integers or narrower floats: the
// parameters, without any algorithm.

#ifndef MONOQUANT_IR_QUANT_SCHEME_H_
#define MONOQUANT_IR_QUANT_SCHEME_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/shape.h"

namespace monoquant {

// What one stored code is. Integer formats need a scale and a zero point, the
// floats of 4 and 8 bits and the formats of bitsandbytes a scale; 16-bit floats
// are plain casts.
// The values are written into .mqir files: append, never renumber.
enum class NumberFormat : uint8_t {
  kInt8 = 0,      // codes -128 .. 127, one a byte
  kUInt8 = 1,     // codes 0 .. 255, one a byte
  kInt4 = 2,      // codes -8 .. 7, two a byte, see core/codecs/int4.h
  kUInt4 = 3,     // codes 0 .. 15, two a byte
  kFp16 = 4,      // IEEE binary16
  kBf16 = 5,      // bfloat16
  kFp8E4M3 = 6,   // 8-bit floats to 448, see core/codecs/fp8.h
  kFp8E5M2 = 7,   // 8-bit floats to 57344, see core/codecs/fp8.h
  kNf4 = 8,       // bitsandbytes' 16 quantiles, two a byte: core/codecs/nf4.h
  kFp4 = 9,       // bitsandbytes' FP4, two a byte, see core/codecs/fp4.h
  kFp4E2M1 = 10,  // 4-bit floats to 6, two a byte, see core/codecs/fp4_e2m1.h
  kLlmInt8 = 11,  // bitsandbytes' codes -127 .. 127, see core/codecs/llm_int8.h
};
inline constexpr int kNumNumberFormats = 12;

// Which elements share one scale and zero point.
enum class Granularity : uint8_t {
  kTensor = 0,  // all
  kAxis = 1,    // those with the same index along `axis` (output channels: 0)
  kGroup = 2,   // runs of `group_size` along the flattened trailing dimensions
                // (all but the first); a run never crosses a row
  kBlock = 3,   // squares of `group_size` rows and columns of a matrix; those
                // at its right and lower edge may be cut off
};

// Where torch's observers and compressed-tensors differ for the same min and
// max (both are checked bit for bit by tests/oracles):
//   kTorch              q = clamp(rint(x * (1 / s) + z))   reciprocal first;
//                       per tensor, product and sum are rounded once
//                       z = clamp(qmin - rint(min / s))
//                       s = max(s, 2^-23)
//   kCompressedTensors  q = clamp(rint(x / s + z))         true division
//                       z = clamp(rint(qmin - min / s))
// The other formats have no such choice: there is one program for each of them
// whose results count (docs/quantization.md). The default is kTorch for every
// integer format.
enum class Convention : uint8_t {
  kTorch = 0,
  kCompressedTensors = 1,
};

// A complete description. Equal schemes and equal input give equal bytes on
// every platform.
struct QuantScheme {
  NumberFormat format = NumberFormat::kInt8;
  Granularity granularity = Granularity::kAxis;
  int axis = 0;  // kAxis only; 0 <= axis < number of dimensions
  // > 0. kGroup: divides the row length. kBlock: rows and columns of a block.
  int64_t group_size = 0;
  bool symmetric = true;                       // integer formats only
  Convention convention = Convention::kTorch;  // integer formats only
  // Formats with scales only: what scales are rounded to, before any code or
  // zero point follows from them, and stored as: F32, F16 or BF16; where
  // ScalesCanBe says so, F8_E8M0, which holds powers of two, or F8_E4M3, which
  // comes with a global scale (HasGlobalScale).
  DType scale_dtype = DType::kF32;

  friend bool operator==(const QuantScheme& a, const QuantScheme& b) {
    return a.format == b.format && a.granularity == b.granularity &&
           a.axis == b.axis && a.group_size == b.group_size &&
           a.symmetric == b.symmetric && a.convention == b.convention &&
           a.scale_dtype == b.scale_dtype;
  }
  friend bool operator!=(const QuantScheme& a, const QuantScheme& b) {
    return !(a == b);
  }
};

// True for formats whose codes stand for values only together with scales; the
// others are plain casts.
bool HasScales(NumberFormat format);

// True for those whose scales come with zero points: the integer formats. Only
// they can be asymmetric, and only they have a choice of conventions.
bool HasZeroPoints(NumberFormat format);

// True for schemes with scales of F8_E4M3. They have one more scale, a float32
// for the whole tensor that scales are divided by, so that these can be numbers
// of 8 bits: a value is code * (scale / global scale), as in NVFP4. Tensors
// have them in groups of at most kLargestGlobalGroup elements.
bool HasGlobalScale(const QuantScheme& scheme);
inline constexpr int64_t kLargestGlobalGroup = 4096;

// True for those whose codes are places in a table of bitsandbytes: nf4 and
// fp4.
bool IsCodebook(NumberFormat format);

// True for the formats that bitsandbytes alone has: nf4, fp4 and llm_int8.
// Their scales are the largest magnitude itself, 0 included.
bool IsOfBitsandbytes(NumberFormat format);

// Bits of a stored code: 4, 8 or 16.
int BitsOfCode(NumberFormat format);

// True for llm_int8, which has a scale for each index of axis 0 and no other.
bool HasRowScales(NumberFormat format);

// Whether schemes of this granularity have a group_size.
bool HasGroupSize(Granularity granularity);

// "int8", "uint8", "int4", "uint4", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2",
// "nf4", "fp4", "fp4_e2m1", "llm_int8" and back.
absl::string_view NumberFormatName(NumberFormat format);
std::optional<NumberFormat> NumberFormatFromName(absl::string_view name);

// "tensor", "axis", "group", "block" and back ("channel" is an alias of
// "axis").
absl::string_view GranularityName(Granularity granularity);
std::optional<Granularity> GranularityFromName(absl::string_view name);

// "torch", "compressed-tensors" and back.
absl::string_view ConventionName(Convention convention);
std::optional<Convention> ConventionFromName(absl::string_view name);

// Types that the scales of any format can have: F32, F16 and BF16.
bool IsScaleDType(DType dtype);
// Those that the scales of `format` can have: F8_E8M0 as well where the values
// of codes are floats (fp8_e4m3, fp8_e5m2, fp4_e2m1), as in the MX formats, and
// F8_E4M3 with fp4_e2m1, as in NVFP4.
bool ScalesCanBe(NumberFormat format, DType dtype);
// All of them, for messages: "F32, F16 or BF16".
std::string ScaleDTypeNames(NumberFormat format);
// "F32", "F16", "BF16", "F8_E8M0" or "F8_E4M3", or a name that users may know
// them by ("bf16", "float16", "fp16", "e8m0", "e4m3").
std::optional<DType> ScaleDTypeFromName(absl::string_view name);

// Whole schemes that programs have a name for.
struct NamedScheme {
  absl::string_view name;
  QuantScheme scheme;
};
// mxfp4 and mxfp8: fp4_e2m1 and fp8_e4m3 in groups of 32 with scales of
// F8_E8M0; nvfp4: fp4_e2m1 in groups of 16 with scales of F8_E4M3.
absl::Span<const NamedScheme> NamedSchemes();

// Short text for reports: "int4 group 128 asymmetric", "int8 axis 0 symmetric",
// "fp8_e4m3 axis 0", "bf16". The convention and the type of scales are named
// where they are not the default: "int4 group 128 symmetric, BF16 scales".
std::string SchemeToString(const QuantScheme& scheme);

// {"format": "int8", "granularity": "axis", "axis": 0, "symmetric": true,
//  "convention": "torch"}; members that do not apply are absent, and so is
// "scale_dtype" where it is F32.
Json SchemeToJson(const QuantScheme& scheme);
// The inverse; absent members take the defaults above, unknown members and
// values out of range are InvalidArgument.
absl::StatusOr<QuantScheme> SchemeFromJson(const Json& json);

// How the elements of one tensor fall into sets with one scale each.
//
// In memory order the tensor is cut into segments of `segment` elements; all
// elements of segment i belong to the parameters i % num_params:
//   tensor        segment = all elements         num_params = 1
//   axis a        segment = prod(dims after a)   num_params = dims[a]
//   group g       segment = g                    num_params = elements / g
//   block b       segment = b                    num_params = all blocks
// Blocks are cut in two dimensions: the element in row r and column c belongs
// to the parameters r / block_rows * ceil(row / segment) + c / segment, and the
// last segment of a row may be shorter. Plain cut arithmetic like this is all
// that the core needs to know of shapes.
//
// A tensor without elements has a layout too: segment is at least 1, and
// num_params is what param_shape says, so it may be 0 or exceed the number of
// segments, which is 0.
struct ParamLayout {
  uint64_t segment = 1;
  uint64_t num_params = 1;
  uint64_t num_elements = 0;
  // Elements of a packing row: the product of all dimensions but the first. A
  // tensor of less than two dimensions is one row. Codes of less than a byte
  // are packed row by row, so that every row starts at a byte.
  uint64_t row = 1;
  uint64_t num_rows = 0;
  // Rows that share parameters: those of a block, or 0 where there are none.
  uint64_t block_rows = 0;
  // Shape of the scale tensor (and of the zero points): [] for kTensor, and
  // one scale per channel: [dims[a]]; for kGroup [num_rows, row / group_size];
  // for kBlock [ceil(num_rows / group_size), ceil(row / group_size)].
  Shape param_shape;
};

// InvalidArgument if the scheme does not fit the shape: an axis out of range;
// FailedPrecondition if the group size does not divide the row, and for
// llm_int8 with scales of anything but axis 0 (HasRowScales). The caller adds
// the tensor's name. Formats without scales get one segment and num_params 0.
absl::StatusOr<ParamLayout> ComputeParamLayout(const QuantScheme& scheme,
                                               absl::Span<const int64_t> shape);

// The stored tensor of codes: its dtype (I8, U8, F16, BF16, F8_E4M3, F8_E5M2)
// and shape (the tensor's own; for 4-bit formats [num_rows, ceil(row / 2)] of
// U8).
DType CodeDType(NumberFormat format);
absl::StatusOr<Shape> CodeShape(NumberFormat format,
                                absl::Span<const int64_t> shape);

// The dtype of the zero points of a format that has them, one a byte even where
// the codes are packed: I8 for int8 and int4, U8 for uint8 and uint4.
DType ZeroPointDType(NumberFormat format);

}  // namespace monoquant

#endif  // MONOQUANT_IR_QUANT_SCHEME_H_
