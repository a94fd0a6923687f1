#include "core/word_order.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/quant_storage.h"

namespace monoquant {
namespace {

using testing::Random;

CodePacking Packing(CodeOrder order, bool offset = false) {
  CodePacking packing;
  packing.row_bytes = 4;
  packing.offset = offset;
  packing.order = order;
  packing.zero_points_less_1 = order == CodeOrder::kColumnWords;
  return packing;
}

std::vector<uint8_t> Bytes(const std::vector<uint32_t>& words) {
  std::vector<uint8_t> bytes(words.size() * 4);
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}

std::vector<uint8_t> RandomBytes(size_t count) {
  Random random(count);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Bits());
  return bytes;
}

// GPTQ's words hold eight columns of one row and lie column by column.
TEST(WordOrderTest, CodesOfGptq) {
  const WordOrder order(Packing(CodeOrder::kColumnWords), 4);
  const std::vector<uint8_t> rows = Bytes({0x76543210, 0xfedcba98,  // row 0
                                           0x11111111, 0x22222222});
  std::vector<uint8_t> lines(rows.size());
  order.StoreCodes(2, 16, rows.data(), lines.data());
  EXPECT_EQ(lines, Bytes({0x76543210, 0x11111111,  // columns 0 to 7
                          0xfedcba98, 0x22222222}));
}

// AWQ's words hold one column of eight rows, in the order 0 2 4 6 1 3 5 7.
TEST(WordOrderTest, CodesOfAwq) {
  const WordOrder order(Packing(CodeOrder::kRowWords), 4);
  // In column c of row r stands r, but for the first two columns.
  std::vector<uint32_t> words;
  for (uint32_t row = 0; row < 8; ++row) {
    words.push_back(row * 0x11111100 + (row == 5 ? 0x0f : 0xa0));
  }
  const std::vector<uint8_t> rows = Bytes(words);
  std::vector<uint8_t> lines(rows.size());
  order.StoreCodes(8, 8, rows.data(), lines.data());
  const uint32_t same = 0x75316420;
  EXPECT_EQ(lines, Bytes({0x0f000000, 0xa0aaaaaa, same, same, same, same, same,
                          same}));
}

// Stored less 1 with their sign bits flipped, in the order of the rows; 0 in a
// nibble comes from a zero point of 1 - 8.
TEST(WordOrderTest, ZeroPointsOfGptq) {
  const WordOrder order(Packing(CodeOrder::kColumnWords, /*offset=*/true), 4);
  // Two groups of eight rows: a zero point for each, row by row.
  const std::vector<int> zeros = {0, 7, -7, 0, 0, 0, 0, 0,  //
                                  0, 0, 0,  0, 0, 0, 0, 1};
  std::vector<uint8_t> levels(zeros.begin(), zeros.end());
  std::vector<uint8_t> lines(8);
  order.StoreZeroPoints(8, 2, levels.data(), lines.data());
  EXPECT_EQ(lines, Bytes({0x77777707, 0x8777777e}));
  std::vector<uint8_t> loaded(16);
  order.LoadZeroPoints(8, 2, lines.data(), loaded.data());
  EXPECT_EQ(loaded, levels);
}

// GPTQModel takes 1 from a whole word, so that zero points of 0 borrow from
// their neighbours: eight of them are 0xeeeeeeef, of 8 bits 0xfefefeff. They
// are read as it reads them.
TEST(WordOrderTest, ZeroPointsOfGptqThatBorrowed) {
  const struct {
    uint64_t bits;
    std::vector<uint32_t> words;
    std::vector<uint8_t> levels;
  } cases[] = {
      {4, {0xeeeeeeef}, {0, 0, 0, 0, 0, 0, 0, 0}},
      // 0x3f001705 less 0x11111111.
      {4, {0x2def05f4}, {5, 0, 7, 1, 0, 0, 15, 3}},
      {4, {0x77777777}, {8, 8, 8, 8, 8, 8, 8, 8}},
      {8, {0xfefefeff, 0x7f7f7f7f}, {0, 0, 0, 0, 128, 128, 128, 128}},
  };
  for (const auto& c : cases) {
    const WordOrder order(Packing(CodeOrder::kColumnWords), c.bits);
    std::vector<uint8_t> loaded(8);
    order.LoadZeroPoints(8, 1, Bytes(c.words).data(), loaded.data());
    EXPECT_EQ(loaded, c.levels);
  }
}

// In version 2 they are stored as they are.
TEST(WordOrderTest, ZeroPointsOfGptqV2) {
  CodePacking packing = Packing(CodeOrder::kColumnWords);
  packing.zero_points_less_1 = false;
  const WordOrder order(packing, 4);
  std::vector<uint8_t> loaded(8);
  order.LoadZeroPoints(8, 1, Bytes({0xf0876510}).data(), loaded.data());
  EXPECT_EQ(loaded, (std::vector<uint8_t>{0, 1, 5, 6, 7, 8, 0, 15}));
}

TEST(WordOrderTest, ZeroPointsOfAwq) {
  const WordOrder order(Packing(CodeOrder::kRowWords), 4);
  const std::vector<uint8_t> levels = {0, 1, 2, 3, 4, 5, 6, 15};
  std::vector<uint8_t> lines(4);
  order.StoreZeroPoints(8, 1, levels.data(), lines.data());
  EXPECT_EQ(lines, Bytes({0xf5316420}));
  std::vector<uint8_t> loaded(8);
  order.LoadZeroPoints(8, 1, lines.data(), loaded.data());
  EXPECT_EQ(loaded, levels);
}

// What was stored is loaded again, and rows that are stored in parts are the
// same parts of the lines.
TEST(WordOrderTest, BackAndInParts) {
  for (CodeOrder code_order : {CodeOrder::kColumnWords, CodeOrder::kRowWords}) {
    for (uint64_t bits : {4, 8}) {
      if (bits == 8 && code_order == CodeOrder::kRowWords) continue;
      const WordOrder order(Packing(code_order), bits);
      for (uint64_t rows : {8, 16, 72}) {
        for (uint64_t columns : {8, 40, 264}) {
          const uint64_t row_bytes = columns * bits / 8;
          const std::vector<uint8_t> packed = RandomBytes(rows * row_bytes);
          const Lines whole = order.CodeLines(rows, columns);
          ASSERT_EQ(whole.size(), packed.size());
          std::vector<uint8_t> lines(packed.size());
          order.StoreCodes(rows, columns, packed.data(), lines.data());
          std::vector<uint8_t> back(packed.size());
          order.LoadCodes(rows, columns, lines.data(), back.data());
          EXPECT_EQ(back, packed);

          const Lines part = order.CodeLines(8, columns);
          std::vector<uint8_t> part_lines(part.size());
          for (uint64_t row = 0; row < rows; row += 8) {
            order.StoreCodes(8, columns, packed.data() + row * row_bytes,
                             part_lines.data());
            const uint64_t before = order.CodeLines(row, columns).bytes;
            for (uint64_t i = 0; i < part.count; ++i) {
              EXPECT_EQ(
                  std::memcmp(&part_lines[i * part.bytes],
                              &lines[i * whole.bytes + before], part.bytes),
                  0);
            }
          }
        }
      }
    }
  }
}

TEST(WordOrderTest, Scales) {
  // Three groups of two rows.
  const std::vector<uint8_t> scales = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0};
  std::vector<uint8_t> lines(scales.size());
  WordOrder::StoreScales(2, 3, scales.data(), lines.data());
  EXPECT_EQ(lines, (std::vector<uint8_t>{1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6, 0}));
  std::vector<uint8_t> back(scales.size());
  WordOrder::LoadScales(2, 3, lines.data(), back.data());
  EXPECT_EQ(back, scales);
}

}  // namespace
}  // namespace monoquant
