#include "core/code_rows.h"

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/registry.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

std::vector<uint8_t> Levels(const Codec& codec, uint64_t count) {
  std::vector<uint8_t> levels(static_cast<size_t>(count));
  for (size_t i = 0; i < levels.size(); ++i) {
    // Where levels are no whole numbers, every code is one.
    const bool whole = HasZeroPoints(codec.format);
    const int first = whole ? codec.qmin : 0;
    const int last = whole ? codec.qmax : (1 << codec.bits) - 1;
    levels[i] = static_cast<uint8_t>(first + static_cast<int>(i * 7) %
                                                 (last - first + 1));
  }
  return levels;
}

// All small matrices: the whole takes the bytes that CodeShape says, whole rows
// and parts can be written on their own, and any range can be read on its own.
void CheckAllSmall(const CodePacking& packing) {
  for (const Codec* codec : DefaultRegistry().codecs) {
    if (!HasScales(codec->format)) continue;
    if (packing.offset && codec->kind != LevelKind::kSigned) continue;
    SCOPED_TRACE(NumberFormatName(codec->format));
    for (uint64_t num_rows = 1; num_rows <= 4; ++num_rows) {
      for (uint64_t row = 1; row <= 9; ++row) {
        const CodeRows rows(*codec, row, packing);
        const uint64_t total = num_rows * row;
        const Shape shape = {static_cast<int64_t>(num_rows),
                             static_cast<int64_t>(row)};
        const uint64_t bytes = rows.BytesOf(0, total);
        const uint64_t row_bytes =
            packing.code_bytes
                ? row
                : ByteSize(CodeDType(codec->format),
                           CodeShape(codec->format, {1, shape[1]}).value())
                      .value();
        const uint64_t unit = packing.row_bytes;
        ASSERT_EQ(bytes, num_rows * ((row_bytes + unit - 1) / unit * unit));
        const std::vector<uint8_t> levels = Levels(*codec, total);
        std::vector<uint8_t> whole(static_cast<size_t>(bytes), 0xee);
        std::vector<uint8_t> scratch = levels;
        rows.Pack(0, absl::MakeSpan(scratch), whole.data());

        // In parts: row by row, and within rows at even positions.
        std::vector<uint8_t> parts(static_cast<size_t>(bytes), 0xee);
        for (uint64_t r = 0; r < num_rows; ++r) {
          const uint64_t cut = row / 2 / 2 * 2;
          for (const auto& [begin, count] :
               {std::pair(r * row, cut), std::pair(r * row + cut, row - cut)}) {
            scratch = levels;
            rows.Pack(
                begin,
                absl::MakeSpan(scratch).subspan(static_cast<size_t>(begin),
                                                static_cast<size_t>(count)),
                parts.data() + rows.ByteOf(begin));
          }
        }
        ASSERT_EQ(parts, whole) << ShapeToString(shape);

        for (uint64_t first = 0; first < total; ++first) {
          for (uint64_t count = 1; first + count <= total; ++count) {
            std::vector<uint8_t> read(static_cast<size_t>(count));
            rows.Unpack(first, whole.data() + rows.ByteOf(first),
                        absl::MakeSpan(read));
            for (size_t i = 0; i < read.size(); ++i) {
              ASSERT_EQ(read[i], levels[static_cast<size_t>(first) + i]);
            }
          }
        }
      }
    }
  }
}

TEST(CodeRowsTest, RowsOfBytes) { CheckAllSmall({}); }

TEST(CodeRowsTest, RowsOfWords) {
  CheckAllSmall({.row_bytes = 4, .offset = false});
  CheckAllSmall({.row_bytes = 4, .offset = true});
}

// Those of torchao: a level of 4 bits is a byte like any other.
TEST(CodeRowsTest, CodesInBytes) {
  CheckAllSmall({.code_bytes = true});
  const CodeRows rows(DefaultRegistry().GetCodec(NumberFormat::kInt4), 3,
                      {.code_bytes = true});
  EXPECT_TRUE(rows.stores_levels());
  EXPECT_EQ(rows.ByteOf(5), 5u);
  std::vector<uint8_t> levels = {0xf8, 0x07, 0xff};
  std::vector<uint8_t> bytes(3, 0xee);
  rows.Pack(0, absl::MakeSpan(levels), bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0xf8, 0x07, 0xff}));
}

// Words of compressed-tensors: code + 8 from the lowest bits on, then 0.
TEST(CodeRowsTest, OffsetCodesInWords) {
  const CodeRows rows(DefaultRegistry().GetCodec(NumberFormat::kInt4), 3,
                      {.row_bytes = 4, .offset = true});
  std::vector<uint8_t> levels = {0xf8, 0x07, 0x00, 0xff, 0x01, 0x02};
  std::vector<uint8_t> bytes(8, 0xff);
  rows.Pack(0, absl::MakeSpan(levels), bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0xf0, 0x08, 0, 0, 0x97, 0x0a, 0, 0}));
  const CodeRows bytes_rows(DefaultRegistry().GetCodec(NumberFormat::kInt8), 2,
                            {.row_bytes = 4, .offset = true});
  levels = {0x80, 0x7f};
  bytes.assign(4, 0xff);
  bytes_rows.Pack(0, absl::MakeSpan(levels), bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0, 0xff, 0, 0}));
}

// The picture in the header.
TEST(CodeRowsTest, OddRows) {
  const CodeRows rows(DefaultRegistry().GetCodec(NumberFormat::kUInt4), 3);
  std::vector<uint8_t> levels = {1, 2, 3, 4, 5, 6};
  std::vector<uint8_t> bytes(4, 0xff);
  rows.Pack(0, absl::MakeSpan(levels), bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x21, 0x03, 0x54, 0x06}));
  EXPECT_EQ(rows.ByteOf(3), 2u);
  EXPECT_EQ(rows.ByteOf(6), 4u);
}

}  // namespace
}  // namespace monoquant
