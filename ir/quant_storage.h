// In which tensors a quantized weight is stored, and how its codes lie there.
//
// A scheme says which numbers there are (ir/quant_scheme.h). Programs keep the
// same numbers in different ways; a storage is one of these ways.

#ifndef MONOQUANT_IR_QUANT_STORAGE_H_
#define MONOQUANT_IR_QUANT_STORAGE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {

enum class QuantStorage : uint8_t {
  // monoquant's own (docs/formats.md): codes under the weight's name W, and
  // W.scale and W.zero_point.
  kPlain = 0,
  // That of compressed-tensors 0.20, for symmetric weights M.weight of two
  // dimensions:
  //   M.weight_packed  I32 [rows, words]    int4, and int8 in groups
  //   M.weight_shape   I64 [2]              with it
  //   M.weight         I8 or F8_E4M3        int8 of axis 0, fp8_e4m3 of axis 0
  //                                         or per tensor
  //   M.weight_scale   [rows, groups], [rows, 1] or [1]
  // A word has 32 / bits codes of one row, the first one in its lowest bits;
  // they are stored as code + 2^(bits - 1), and a row's last word is filled up
  // with 0.
  kCompressedTensors = 1,
};

// "plain", "compressed-tensors" and back.
absl::string_view StorageName(QuantStorage storage);
std::optional<QuantStorage> StorageFromName(absl::string_view name);

// How codes lie in their tensor.
struct CodePacking {
  // A row of codes takes a multiple of so many bytes, the last ones filled up
  // with 0: 1 or 4.
  uint64_t row_bytes = 1;
  // Codes are stored with their sign bit flipped: as code + 2^(bits - 1).
  bool offset = false;

  friend bool operator==(const CodePacking& a, const CodePacking& b) {
    return a.row_bytes == b.row_bytes && a.offset == b.offset;
  }
};

// A tensor to be stored.
struct StoredPart {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
};

// What becomes of one weight.
struct StoredWeight {
  StoredPart codes;
  CodePacking packing;
  // Absent where the format or the storage has none.
  std::optional<StoredPart> scale;
  std::optional<StoredPart> zero_point;
  // Holds the weight's dimensions.
  std::optional<StoredPart> shape;
};

// Where a weight called `name` of this shape goes. The scheme fits the shape
// (ComputeParamLayout). In kPlain the zero point of a symmetric scheme is one
// for all, a scalar.
//
// FailedPrecondition, without the name, for what the storage has no place for.
absl::StatusOr<StoredWeight> StoreWeight(QuantStorage storage,
                                         absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape);

}  // namespace monoquant

#endif  // MONOQUANT_IR_QUANT_STORAGE_H_
