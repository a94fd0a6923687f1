// Where the codes of a tensor lie in its bytes.
//
// Codes are packed row by row: every row of the tensor (ParamLayout::row)
// starts at a byte, or at a word (CodePacking::row_bytes), and what is left
// over of its last one is 0.
//
//   int4, rows of 3     byte 0: 1 0    byte 1: . 2    byte 2: 1 0    byte 3: .
//   2
//                       (upper, lower nibble; '.' is 0)
//
// Where each has a byte of its own (CodePacking::code_bytes), that is its
// level.

#ifndef MONOQUANT_CORE_CODE_ROWS_H_
#define MONOQUANT_CORE_CODE_ROWS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "core/codecs/codec.h"
#include "ir/quant_storage.h"

namespace monoquant {

class CodeRows {
 public:
  // `codec` must outlive this; `row` is not 0. Pack and Unpack are for formats
  // with scales.
  CodeRows(const Codec& codec, uint64_t row, const CodePacking& packing = {});

  // The byte that holds the code of `element`; for the end of a row and of the
  // tensor, the byte after the last.
  uint64_t ByteOf(uint64_t element) const;

  // The bytes that hold `count` elements from `first` on, which must start at a
  // byte and, like the end, either lie in the same row or at row boundaries.
  uint64_t BytesOf(uint64_t first, uint64_t count) const;

  // Whether codes are the levels themselves, so that there is nothing to pack.
  bool stores_levels() const;

  // Stores the levels of the elements from `first` on (as in BytesOf), which it
  // may change.
  void Pack(uint64_t first, absl::Span<uint8_t> levels, uint8_t* bytes) const;

  // Reads the levels of any elements from `first` on; `bytes` begins with the
  // byte ByteOf(first).
  void Unpack(uint64_t first, const uint8_t* bytes,
              absl::Span<uint8_t> levels) const;

 private:
  void PackCodes(absl::Span<const uint8_t> levels, uint8_t* bytes) const;
  void UnpackCodes(const uint8_t* bytes, absl::Span<uint8_t> levels) const;

  const Codec* codec_;
  uint64_t bits_;  // that a code takes
  uint64_t row_;   // elements; one endless row where rows leave no gaps
  uint64_t row_bytes_;
  uint8_t flip_;  // the bits in which a code, as a byte, differs from its level
  bool first_high_;  // whether the first code of a byte is in its upper half
  bool code_bytes_;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODE_ROWS_H_
