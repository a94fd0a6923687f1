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
    const int span = codec.qmax - codec.qmin + 1;
    levels[i] =
        static_cast<uint8_t>(codec.qmin + static_cast<int>(i * 7) % span);
  }
  return levels;
}

// All small matrices: the whole takes the bytes that CodeShape says, whole rows
// and parts can be written on their own, and any range can be read on its own.
TEST(CodeRowsTest, ExhaustiveSmall) {
  for (const Codec* codec : DefaultRegistry().codecs) {
    if (!HasScales(codec->format)) continue;
    SCOPED_TRACE(NumberFormatName(codec->format));
    for (uint64_t num_rows = 1; num_rows <= 4; ++num_rows) {
      for (uint64_t row = 1; row <= 9; ++row) {
        const CodeRows rows(*codec, row);
        const uint64_t total = num_rows * row;
        const Shape shape = {static_cast<int64_t>(num_rows),
                             static_cast<int64_t>(row)};
        const uint64_t bytes = rows.BytesOf(0, total);
        ASSERT_EQ(bytes, ByteSize(CodeDType(codec->format),
                                  CodeShape(codec->format, shape).value())
                             .value());
        const std::vector<uint8_t> levels = Levels(*codec, total);
        std::vector<uint8_t> whole(static_cast<size_t>(bytes), 0xee);
        rows.Pack(0, levels, whole.data());

        // In parts: row by row, and within rows at even positions.
        std::vector<uint8_t> parts(static_cast<size_t>(bytes), 0xee);
        for (uint64_t r = 0; r < num_rows; ++r) {
          const uint64_t cut = row / 2 / 2 * 2;
          for (const auto& [begin, count] :
               {std::pair(r * row, cut), std::pair(r * row + cut, row - cut)}) {
            rows.Pack(
                begin,
                absl::MakeConstSpan(levels).subspan(static_cast<size_t>(begin),
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

// The picture in the header.
TEST(CodeRowsTest, OddRows) {
  const CodeRows rows(DefaultRegistry().GetCodec(NumberFormat::kUInt4), 3);
  const std::vector<uint8_t> levels = {1, 2, 3, 4, 5, 6};
  std::vector<uint8_t> bytes(4, 0xff);
  rows.Pack(0, levels, bytes.data());
  EXPECT_EQ(bytes, (std::vector<uint8_t>{0x21, 0x03, 0x54, 0x06}));
  EXPECT_EQ(rows.ByteOf(3), 2u);
  EXPECT_EQ(rows.ByteOf(6), 4u);
}

}  // namespace
}  // namespace monoquant
