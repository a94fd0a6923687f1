// In which tensors a quantized weight is stored, and how its codes lie there.
//
// A scheme says which numbers there are (ir/quant_scheme.h). Programs keep the
// same numbers in different ways; a storage is one of these ways.

#ifndef MONOQUANT_IR_QUANT_STORAGE_H_
#define MONOQUANT_IR_QUANT_STORAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
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
  // with 0. And for the schemes of NamedSchemes:
  //   M.weight_packed        U8 [rows, columns / 2]  mxfp4 and nvfp4
  //   M.weight               F8_E4M3                 mxfp8
  //   M.weight_scale         [rows, groups]: U8, which are the exponents of
  //                          E8M0, or F8_E4M3 (nvfp4)
  //   M.weight_global_scale  F32 [1]                 nvfp4
  kCompressedTensors = 1,
  // Version 1 of GPTQ's, for integers in M.weight of two dimensions, in groups
  // or of axis 0 (one group a row). Codes are stored as code + 2^(bits - 1) if
  // they are signed, 32 / bits to a word, the first one in its lowest bits:
  //   M.qweight  I32 [columns / codes of a word, rows]: codes of one row
  //   M.qzeros   I32 [groups, rows / codes of a word]: zero points of a group,
  //              less 1, so that 0 cannot be one
  //   M.scales   F16 [groups, rows]
  //   M.g_idx    I32 [columns]: the group of each
  kGptq = 2,
  // That of AWQ's "gemm" version, for 4-bit integers in M.weight of two
  // dimensions, in groups or of axis 0:
  //   M.qweight  I32 [columns, rows / 8]
  //   M.qzeros   I32 [groups, rows / 8]
  //   M.scales   F16 [groups, rows]
  // A word is of one column and eight rows: 0, 2, 4, 6, 1, 3, 5, 7 from its
  // lowest bits on.
  kAwq = 3,
  // For FP8 in M.weight of two dimensions, in blocks: codes under the weight's
  // own name and M.weight_scale_inv, which are scales in spite of its name.
  kFp8 = 4,
  // torchao's tensor classes, flattened as its safetensors files have them, for
  // int8 and FP8 of axis 0 in M.weight of two dimensions:
  //   M._weight_qdata       I8 or F8_E4M3 [rows, columns]
  //   M._weight_scale       F32 [rows, 1]
  //   M._weight_zero_point  I8 [rows, 1], all 0; of int8 only
  kTorchao = 5,
  // That of torch.ao.nn.quantized, for symmetric int8 of axis 0 in weights of
  // ir/torch_ao.h, which are tensors W of 2 to 5 dimensions of modules of
  // float32:
  //   W             I8
  //   W.scale       F64 [rows], rounded to the scheme's type
  //   W.zero_point  I64 [rows], all 0
  // And for symmetric uint8 of axis 0 in matrices of embeddings:
  //   W             U8
  //   W.scale       F32 [rows]
  //   W.zero_point  F32 [rows], all 128
  // The exporter packs them, with the module's bias, into torch's objects.
  kTorchAo = 6,

  // What other programs write and monoquant reads; no output has it
  // (CheckWritable).

  // The format of this name of compressed-tensors, for int4 and int8 per
  // tensor, of axis 0 or in groups, symmetric or not: as the packed weights of
  // kCompressedTensors, and where the scheme is asymmetric
  //   M.weight_zero_point  I32 [words, groups] or [words, 1]: 32 / bits rows to
  //                        a word, in the order and with the offset of codes
  //                        I8 [1]: per tensor, as it is
  kPackQuantized = 7,
  // The formats "int-quantized" and "naive-quantized" of compressed-tensors,
  // for int8 per tensor, of axis 0 or in groups, symmetric or not:
  //   M.weight             I8 [rows, columns]
  //   M.weight_scale       [1], [rows, 1] or [rows, groups]
  //   M.weight_zero_point  I8, of the same shape, where it is asymmetric
  kIntQuantized = 8,
  // Version 2 of GPTQ's: as kGptq, with zero points as they are.
  kGptqV2 = 9,

  // What outputs have, again.

  // bitsandbytes' of 4 bits, for nf4 and fp4 in groups, in M.weight of two
  // dimensions. As all groups are whole, a row is as good as the flat tensor
  // that the library sees:
  //   M.weight            U8 [codes / 2, 1]: the first code of a byte is in its
  //                       upper half
  //   M.weight.absmax     F32 [groups]
  //   M.weight.quant_map  F32 [16]: what the codes stand for
  //   M.weight.quant_state.bitsandbytes__nf4 (or __fp4)
  //                       U8: a JSON text with type, group size and shape
  // And that of 8 bits, for llm_int8:
  //   M.weight            I8 [rows, columns]
  //   M.SCB               F32 [rows]: scales
  //   M.weight_format     U8 []: 0, which is row by row; older files have none
  kBitsandbytes = 10,
  // That of 4 bits with scales that are quantized themselves ("double
  // quantization"). A scale is number * scale + offset, in float32, with the
  // number of its code and the scale of its block of 256 scales:
  //   M.weight.absmax            U8 [groups]: codes
  //   M.weight.nested_quant_map  F32 [256]: what these codes stand for
  //   M.weight.nested_absmax     F32 [groups / 256], the last block may be
  //   short
  // The offset is "nested_offset" in quant_state. The codes of weights are
  // chosen before scales lose their last bits.
  kBitsandbytesNested = 11,
  // torchao's classes as kTorchao has them, with the other scales that they can
  // have, for int4, int8 and FP8 in M.weight of two dimensions; read only. A
  // scale is for a block of the weight: all of it, a row, a group of a row, or
  // a square, which FP8 alone can have:
  //   M._weight_qdata       I8, F8_E4M3 or F8_E5M2 [rows, columns]; codes of 4
  //                         bits too are one a byte
  //   M._weight_scale       [rows / rows of a block, columns / those of it]
  //   M._weight_zero_point  I8 of the same shape; of integers only, and it may
  //                         be missing where they are symmetric
  kTorchaoBlocks = 12,
  // torch's quantized tensors, as the modules of torch.ao.nn.quantized have
  // them: int8 (qint8) and uint8 (quint8), per tensor or of any axis, symmetric
  // or not, in tensors W of any shape:
  //   W             I8 or U8
  //   W.scale       F64, [] or [size of the axis]; of an axis, only numbers of
  //                 the scheme's type: torch multiplies by them as they are
  //   W.zero_point  I64, of the same shape
  // Where there is one scale for all, torch's files have it and its zero point
  // in the pickle.
  kTorchQuantized = 13,
};

// Bytes of quant_state as it is written, whatever it says: filled up with
// spaces. Others write as many as it takes.
inline constexpr int64_t kQuantStateBytes = 160;
// The same in kBitsandbytesNested.
inline constexpr int64_t kNestedQuantStateBytes = 256;
// No quant_state is longer.
inline constexpr int64_t kMaxQuantStateBytes = 1 << 16;

// Scales of kBitsandbytesNested that share one.
inline constexpr int64_t kNestedBlock = 256;

// "plain", "compressed-tensors", "gptq", "awq", "fp8", "torchao", "torch-ao",
// "pack-quantized", "int-quantized", "gptq-v2", "bitsandbytes",
// "bitsandbytes-nested", "torchao-blocks", "torch-quantized" and back.
absl::string_view StorageName(QuantStorage storage);
std::optional<QuantStorage> StorageFromName(absl::string_view name);
// All names, for messages: "plain, compressed-tensors".
std::string StorageNames();

// SchemeToString, and what the storage does to scales: "nf4 group 64, double
// quant".
std::string StoredSchemeToString(QuantStorage storage,
                                 const QuantScheme& scheme);

// What the scales of a weight of type `weight` are rounded to where nothing
// else is said: F32 in kPlain, kFp8, those of torch, of torchao and those of
// bitsandbytes, the weight's type (which layers of engines have) in those of
// compressed-tensors, F16 in those of GPTQ and AWQ.
DType DefaultScaleDType(QuantStorage storage, DType weight);

// In which order codes lie.
enum class CodeOrder : uint8_t {
  kRows,         // row by row
  kColumnWords,  // kGptq: words of one row, column by column of words
  kRowWords,     // kAwq: words of eight rows, column by column
};

// How codes lie in their tensor.
struct CodePacking {
  // A row of codes takes a multiple of so many bytes, the last ones filled up
  // with 0: 1 or 4.
  uint64_t row_bytes = 1;
  // Codes, and zero points that are packed, are stored with their sign bit
  // flipped: as code + 2^(bits - 1).
  bool offset = false;
  // If it is not kRows, rows and columns fill whole words, and scales and zero
  // points lie group by group, not row by row; zero points are packed like the
  // codes of a row of groups.
  CodeOrder order = CodeOrder::kRows;
  // Of zero points that are packed: they are stored less 1, and none is the
  // lowest level.
  bool zero_points_less_1 = false;
  // In kRows: zero points are packed, each word has those of 32 / bits rows for
  // one group (kPackQuantized).
  bool zero_point_words = false;
  // Of codes of 4 bits: the first one of a byte is in its upper half. Rows have
  // an even number of them.
  bool first_code_high = false;
  // Scales that are quantized together, from the first one on: kNestedBlock in
  // kBitsandbytesNested; 1 where scales are stored as they are.
  uint64_t scale_block = 1;
  // Of codes of 4 bits: each has a byte of its own, as a number of 8 bits.
  bool code_bytes = false;

  friend bool operator==(const CodePacking& a, const CodePacking& b) {
    return a.row_bytes == b.row_bytes && a.offset == b.offset &&
           a.order == b.order && a.zero_points_less_1 == b.zero_points_less_1 &&
           a.zero_point_words == b.zero_point_words &&
           a.first_code_high == b.first_code_high &&
           a.scale_block == b.scale_block && a.code_bytes == b.code_bytes;
  }
};

// Which shapes of a part are read, besides the one that is written.
enum class ShapesRead : uint8_t {
  kOne,     // no other
  kFlat,    // that without its last dimension, which is 1
  kLength,  // any of one dimension, up to kMaxQuantStateBytes and not empty
};

// A tensor to be stored.
struct StoredPart {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  ShapesRead shapes_read = ShapesRead::kOne;
};

// Whether a part that is read may have this shape.
bool CanHaveShape(const StoredPart& part, absl::Span<const int64_t> shape);

// What a tensor holds that follows from the scheme and the weight's shape.
enum class ConstantKind : uint8_t {
  kDimensions,  // I64 [dimensions]: the weight's shape
  // I32 [columns]: the group of each. That is how it is written; who reads
  // weights goes by what is stored, since GPTQ may have put columns that are
  // quantized together into one group ("act order").
  kGroupIndex,
  // I8 of the shape of the scales, [rows, 1] where it is written: all 0. Who
  // reads weights takes those that are stored.
  kZeroPoints,
  kCodebook,      // F32 [16]: the values of the codes of nf4 or fp4
  kQuantState,    // U8: bitsandbytes' description of the weight, as JSON
  kWeightFormat,  // U8 []: 0
  // Of kBitsandbytesNested.
  kNestedScales,    // F32: scales of scales, which follow from nothing
  kNestedCodebook,  // F32 [256]: the values of the codes of scales
};

struct StoredConstant {
  StoredPart part;
  ConstantKind kind;
  // It is written, and may be missing where it is read. None follow that may
  // not.
  bool optional = false;
};

// What becomes of one weight.
struct StoredWeight {
  StoredPart codes;
  CodePacking packing;
  // Absent where the format or the storage has none.
  std::optional<StoredPart> scale;
  std::optional<StoredPart> zero_point;
  std::optional<StoredPart> global_scale;  // one F32
  std::vector<StoredConstant> constants;
};

// Where a weight called `name` of this shape goes, or lies. The scheme fits the
// shape (ComputeParamLayout). In kPlain the zero point of a symmetric scheme is
// one for all, a scalar.
//
// FailedPrecondition, without the name, for what the storage has no place for.
// What it has a place for, can be read; CheckWritable says more of outputs.
absl::StatusOr<StoredWeight> StoreWeight(QuantStorage storage,
                                         absl::string_view name,
                                         const QuantScheme& scheme,
                                         absl::Span<const int64_t> shape);

// Whether an output may have a weight that StoreWeight has found a place for:
// whether all programs load it that the storage is written for.
// FailedPrecondition, without the name, if not.
absl::Status CheckWritable(QuantStorage storage, const QuantScheme& scheme,
                           absl::Span<const int64_t> shape);

// The bytes of a constant of a weight that StoreWeight has found a place for;
// `dtype` is the weight's, `nested_offset` what the scales of
// kBitsandbytesNested have added. None for what does not follow from these.
std::vector<uint8_t> ConstantBytes(
    ConstantKind kind, const QuantScheme& scheme,
    absl::Span<const int64_t> shape, DType dtype,
    std::optional<float> nested_offset = std::nullopt);

}  // namespace monoquant

#endif  // MONOQUANT_IR_QUANT_STORAGE_H_
