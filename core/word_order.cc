#include "core/word_order.h"

#include <algorithm>
#include <cstring>

namespace monoquant {
namespace {

constexpr uint64_t kWordBytes = 4;

// Where a word of AWQ has its rows: nibble i is of row kAwqRows[i].
constexpr uint64_t kAwqRows[8] = {0, 2, 4, 6, 1, 3, 5, 7};
// The inverse: row i is in nibble kAwqNibbles[i].
constexpr uint64_t kAwqNibbles[8] = {0, 4, 1, 5, 2, 6, 3, 7};

uint32_t LoadWord(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

void StoreWord(uint32_t word, uint8_t* bytes) {
  std::memcpy(bytes, &word, sizeof(word));
}

// dst[j][i] = src[i][j] of `rows` x `columns` values of type T.
template <typename T>
void Transpose(uint64_t rows, uint64_t columns, const uint8_t* src,
               uint8_t* dst) {
  // Both sides of a block stay in the first-level cache.
  constexpr uint64_t kBlock = 32;
  for (uint64_t i0 = 0; i0 < rows; i0 += kBlock) {
    const uint64_t i1 = std::min(i0 + kBlock, rows);
    for (uint64_t j0 = 0; j0 < columns; j0 += kBlock) {
      const uint64_t j1 = std::min(j0 + kBlock, columns);
      for (uint64_t j = j0; j < j1; ++j) {
        for (uint64_t i = i0; i < i1; ++i) {
          std::memcpy(dst + (j * rows + i) * sizeof(T),
                      src + (i * columns + j) * sizeof(T), sizeof(T));
        }
      }
    }
  }
}

// Transposes a matrix of 8 x 8 nibbles, a word each row, the first column in
// its lowest bits: blocks of 4, then 2, then 1 change places.
void TransposeNibbles(uint32_t words[8]) {
  constexpr uint32_t kMasks[3] = {0x0000ffff, 0x00ff00ff, 0x0f0f0f0f};
  for (int step = 0; step < 3; ++step) {
    const int distance = 4 >> step;
    const int shift = 4 * distance;
    for (int i = 0; i < 8; ++i) {
      if ((i & distance) != 0) continue;
      uint32_t& a = words[i];
      uint32_t& b = words[i + distance];
      const uint32_t swapped = ((a >> shift) ^ b) & kMasks[step];
      b ^= swapped;
      a ^= swapped << shift;
    }
  }
}

enum class Direction { kToLines, kToRows };

// Words of AWQ's between rows of them and lines, eight rows and eight columns
// at a time. The direction is known where this is compiled, as the places of
// words are computed for each.
template <Direction kDirection>
void MoveRowWords(uint64_t rows, uint64_t row_words, uint64_t line_bytes,
                  const uint8_t* src, uint8_t* dst) {
  constexpr bool kToLines = kDirection == Direction::kToLines;
  for (uint64_t row = 0; row < rows; row += 8) {
    for (uint64_t word = 0; word < row_words; ++word) {
      const auto in_rows = [&](uint64_t i) {
        return ((row + kAwqRows[i]) * row_words + word) * kWordBytes;
      };
      const auto in_lines = [&](uint64_t i) {
        return (word * 8 + i) * line_bytes + row / 8 * kWordBytes;
      };
      uint32_t words[8];
      for (uint64_t i = 0; i < 8; ++i) {
        words[i] = LoadWord(src + (kToLines ? in_rows(i) : in_lines(i)));
      }
      TransposeNibbles(words);
      for (uint64_t i = 0; i < 8; ++i) {
        StoreWord(words[i], dst + (kToLines ? in_lines(i) : in_rows(i)));
      }
    }
  }
}

}  // namespace

WordOrder::WordOrder(const CodePacking& packing, uint64_t bits)
    : packing_(packing), bits_(bits), per_word_(32 / bits) {}

Lines WordOrder::CodeLines(uint64_t rows, uint64_t columns) const {
  if (packing_.order == CodeOrder::kRowWords) {
    return {columns, rows / per_word_ * kWordBytes};
  }
  return {columns / per_word_, rows * kWordBytes};
}

void WordOrder::StoreCodes(uint64_t rows, uint64_t columns,
                           const uint8_t* packed, uint8_t* lines) const {
  const uint64_t row_words = columns / per_word_;
  if (packing_.order == CodeOrder::kColumnWords) {
    Transpose<uint32_t>(rows, row_words, packed, lines);
    return;
  }
  MoveRowWords<Direction::kToLines>(
      rows, row_words, CodeLines(rows, columns).bytes, packed, lines);
}

void WordOrder::LoadCodes(uint64_t rows, uint64_t columns, const uint8_t* lines,
                          uint8_t* packed) const {
  const uint64_t row_words = columns / per_word_;
  if (packing_.order == CodeOrder::kColumnWords) {
    Transpose<uint32_t>(row_words, rows, lines, packed);
    return;
  }
  MoveRowWords<Direction::kToRows>(
      rows, row_words, CodeLines(rows, columns).bytes, lines, packed);
}

Lines WordOrder::ScaleLines(uint64_t rows, uint64_t groups) {
  return {groups, rows * sizeof(uint16_t)};
}

void WordOrder::StoreScales(uint64_t rows, uint64_t groups,
                            const uint8_t* scales, uint8_t* lines) {
  Transpose<uint16_t>(rows, groups, scales, lines);
}

void WordOrder::LoadScales(uint64_t rows, uint64_t groups, const uint8_t* lines,
                           uint8_t* scales) {
  Transpose<uint16_t>(groups, rows, lines, scales);
}

uint64_t WordOrder::PlaceOfRow(uint64_t i) const {
  return packing_.order == CodeOrder::kRowWords ? kAwqNibbles[i] : i;
}

Lines WordOrder::ZeroPointLines(uint64_t rows, uint64_t groups) const {
  return {groups, rows / per_word_ * kWordBytes};
}

void WordOrder::StoreZeroPoints(uint64_t rows, uint64_t groups,
                                const uint8_t* zero_points,
                                uint8_t* lines) const {
  const uint32_t mask = (uint32_t{1} << bits_) - 1;
  const uint32_t flip = packing_.offset ? uint32_t{1} << (bits_ - 1) : 0;
  const uint32_t less = packing_.zero_points_less_1 ? 1 : 0;
  for (uint64_t group = 0; group < groups; ++group) {
    for (uint64_t row = 0; row < rows; row += per_word_) {
      uint32_t word = 0;
      for (uint64_t i = 0; i < per_word_; ++i) {
        const uint32_t level = zero_points[(row + i) * groups + group];
        word |= (((level ^ flip) - less) & mask) << (PlaceOfRow(i) * bits_);
      }
      StoreWord(word, lines);
      lines += kWordBytes;
    }
  }
}

void WordOrder::LoadZeroPoints(uint64_t rows, uint64_t groups,
                               const uint8_t* lines,
                               uint8_t* zero_points) const {
  const uint32_t mask = (uint32_t{1} << bits_) - 1;
  const uint32_t flip = packing_.offset ? uint32_t{1} << (bits_ - 1) : 0;
  // The signs of levels are in all upper bits of their bytes.
  const uint32_t sign = packing_.offset ? ~(mask >> 1) : 0;
  // To all zero points of a word at once, as gptqmodel does: a 0 that was
  // stored as -1 carries into the next one.
  const uint32_t more = packing_.zero_points_less_1 ? ~uint32_t{0} / mask : 0;
  for (uint64_t group = 0; group < groups; ++group) {
    for (uint64_t row = 0; row < rows; row += per_word_) {
      const uint32_t word = LoadWord(lines) + more;
      lines += kWordBytes;
      for (uint64_t i = 0; i < per_word_; ++i) {
        uint32_t level = (word >> (PlaceOfRow(i) * bits_) & mask) ^ flip;
        if ((level & sign) != 0) level |= sign;
        zero_points[(row + i) * groups + group] = static_cast<uint8_t>(level);
      }
    }
  }
}

}  // namespace monoquant
