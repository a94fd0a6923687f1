// Packed codes, scales and zero points in the orders of GPTQ and AWQ
// (ir/quant_storage.h).
//
// Such a tensor is made of lines. A line has what belongs to one column of
// words (codes) or to one group (scales and zero points), for all rows, so some
// rows are a part of each line:
//
//   codes of 4 bits        line i of kColumnWords: columns 8 i .. 8 i + 7, four
//                          bytes a row
//                          line i of kRowWords: column i, half a byte a row
//   scales                 line i: group i, two bytes a row
//   zero points            line i: group i, as many bits a row as a code has

#ifndef MONOQUANT_CORE_WORD_ORDER_H_
#define MONOQUANT_CORE_WORD_ORDER_H_

#include <cstdint>

#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

// Rows are taken in multiples of this, which fill words.
inline constexpr uint64_t kWordOrderUnit = 8;

// What some rows have of a tensor's lines.
struct Lines {
  uint64_t count = 0;
  uint64_t bytes = 0;  // of each

  uint64_t size() const { return count * bytes; }
};

// Functions that store take a block of whole or partial rows, one row after the
// other, and give its part of the lines, one line after the other; those that
// load do the inverse. `rows` are multiples of kWordOrderUnit, but for those of
// codes in kColumnWords, which may be any; `columns` of codes are multiples of
// word_columns().
class WordOrder {
 public:
  // `packing.order` is not kRows. `bits` are those of a code, 4 or 8.
  WordOrder(const CodePacking& packing, uint64_t bits);

  // Columns are taken in multiples of this, which fill words: 8 of 4 bits, 4 of
  // 8 bits.
  uint64_t word_columns() const { return per_word_; }

  // Codes: rows packed as CodeRows does for this packing.
  Lines CodeLines(uint64_t rows, uint64_t columns) const;
  void StoreCodes(uint64_t rows, uint64_t columns, const uint8_t* packed,
                  uint8_t* lines) const;
  void LoadCodes(uint64_t rows, uint64_t columns, const uint8_t* lines,
                 uint8_t* packed) const;

  // Scales of two bytes.
  static Lines ScaleLines(uint64_t rows, uint64_t groups);
  static void StoreScales(uint64_t rows, uint64_t groups, const uint8_t* scales,
                          uint8_t* lines);
  static void LoadScales(uint64_t rows, uint64_t groups, const uint8_t* lines,
                         uint8_t* scales);

  // Zero points, one a byte: levels of the scheme.
  Lines ZeroPointLines(uint64_t rows, uint64_t groups) const;
  void StoreZeroPoints(uint64_t rows, uint64_t groups,
                       const uint8_t* zero_points, uint8_t* lines) const;
  void LoadZeroPoints(uint64_t rows, uint64_t groups, const uint8_t* lines,
                      uint8_t* zero_points) const;

 private:
  // Which of the codes of a word is that of row `i` of as many rows.
  uint64_t PlaceOfRow(uint64_t i) const;

  CodePacking packing_;
  uint64_t bits_;
  uint64_t per_word_;  // codes
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_WORD_ORDER_H_
