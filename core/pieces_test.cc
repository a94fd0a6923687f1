#include "core/pieces.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "core/casts.h"
#include "core/code_rows.h"
#include "core/param_runs.h"
#include "core/registry.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr uint64_t kChunk = 64 << 10;
constexpr size_t kSlotBytes = 8;

QuantScheme Scheme(NumberFormat format, Granularity granularity, int axis,
                   int64_t group) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  scheme.axis = axis;
  scheme.group_size = group;
  return scheme;
}

// What every cut must keep, for shapes around all boundaries there are: rows
// and groups that just fit a chunk or just do not, odd ones among them.
TEST(PiecesTest, CutsAreSound) {
  const int64_t max = kChunk / 4;  // F32
  int cut_into_segments = 0;
  const Shape shapes[] = {{1},
                          {max},
                          {max + 1},
                          {3 * max + 1},
                          {5, 7},
                          {1000, 27},
                          {3, max - 1},
                          {3, max},
                          {3, max + 1},
                          {2, 5 * max},
                          {max + 5, 1},
                          {4, 3, 2 * max + 3},
                          {33, 1, 700},
                          {1, 90, 700},
                          {90, 700, 1},
                          {300, 3, 3, 3},
                          {7, 2 * 3 * 5 * 7 * 11 * 13}};
  for (const Shape& shape : shapes) {
    for (NumberFormat format : {NumberFormat::kInt8, NumberFormat::kInt4}) {
      for (DType dtype : {DType::kF16, DType::kF32, DType::kF64}) {
        std::vector<QuantScheme> schemes = {
            Scheme(format, Granularity::kTensor, 0, 0)};
        for (size_t axis = 0; axis < shape.size(); ++axis) {
          schemes.push_back(
              Scheme(format, Granularity::kAxis, static_cast<int>(axis), 0));
        }
        for (int64_t group : {int64_t{1}, int64_t{3}, int64_t{32}, int64_t{35},
                              int64_t{10010}, max, max + 1, 2 * max + 3}) {
          schemes.push_back(Scheme(format, Granularity::kGroup, 0, group));
        }
        for (const QuantScheme& scheme : schemes) {
          const auto layout = ComputeParamLayout(scheme, shape);
          if (!layout.ok()) continue;
          SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape) +
                       " " + std::string(DTypeName(dtype)));
          const TensorPieces pieces =
              CutQuantize(dtype, scheme, *layout, kSlotBytes, kChunk);
          const CodeRows rows(DefaultRegistry().GetCodec(format), layout->row);
          uint64_t position = 0;
          uint64_t next_byte = 0;
          uint64_t slots_done = 0;
          for (uint64_t i = 0; i < pieces.cuts.size(); ++i) {
            const ElementRange range = pieces.cuts[i];
            ASSERT_EQ(range.begin, position);
            position = range.end;
            ASSERT_LE(range.size() * FloatBytes(dtype), kChunk);
            ASSERT_LE(range.size() * FloatBytes(dtype), pieces.input_bytes);
            // Codes of pieces lie side by side, without a shared byte.
            ASSERT_EQ(rows.ByteOf(range.begin), next_byte);
            next_byte += rows.BytesOf(range.begin, range.size());
            ASSERT_LE(rows.BytesOf(range.begin, range.size()),
                      pieces.code_bytes);
            const SlotRange slots = SlotsOf(*layout, range.begin, range.size());
            if (!pieces.two_trips) {
              // All values of its scales, and no scale twice.
              ASSERT_EQ(slots.first, slots_done);
              slots_done += slots.count;
              ASSERT_EQ(range.begin % layout->segment, 0u);
              ASSERT_EQ(range.end % layout->segment, 0u);
              ASSERT_LE(slots.count * (kSlotBytes + 8), pieces.param_bytes);
            } else {
              ASSERT_LE(slots.count * kSlotBytes, pieces.param_bytes);
            }
            // Tiles of the piece start at bytes too.
            const Cuts tiles = CutTiles(range, layout->row);
            uint64_t tile_end = 0;
            for (uint64_t t = 0; t < tiles.size(); ++t) {
              ASSERT_EQ(tiles[t].begin, tile_end);
              tile_end = tiles[t].end;
              ASSERT_LE(tiles[t].size(), kTileElements);
              const uint64_t row_position =
                  (range.begin + tiles[t].begin) % layout->row;
              ASSERT_EQ(row_position % 2, 0u);
            }
            ASSERT_EQ(tile_end, range.size());
            if (pieces.two_trips) continue;
            // So do those that have all values of their scales, if there are.
            const std::optional<Cuts> segments = CutSegments(range, *layout);
            if (!segments.has_value()) continue;
            ++cut_into_segments;
            uint64_t segment_end = 0;
            for (uint64_t t = 0; t < segments->size(); ++t) {
              const ElementRange segment = (*segments)[t];
              ASSERT_EQ(segment.begin, segment_end);
              segment_end = segment.end;
              ASSERT_LE(segment.size(), kLargestTile);
              ASSERT_EQ(segment.end % layout->segment, 0u);
              ASSERT_EQ((range.begin + segment.begin) % layout->row % 2, 0u);
            }
            ASSERT_EQ(segment_end, range.size());
          }
          ASSERT_EQ(position, layout->num_elements);
          ASSERT_EQ(next_byte, rows.BytesOf(0, layout->num_elements));
          if (!pieces.two_trips) {
            ASSERT_EQ(slots_done, layout->num_params);
            // The promise of JobOptions.
            ASSERT_LE(
                pieces.input_bytes + pieces.code_bytes + pieces.param_bytes,
                4 * kChunk + 5 * kParamSlab);
          }
        }
      }
    }
  }
  EXPECT_GT(cut_into_segments, 1000);
}

// Pieces have all values of their blocks, even where the rows of one take more
// than a chunk, and tell how much memory that is.
TEST(PiecesTest, Blocks) {
  const int64_t max = kChunk / 2;  // BF16
  for (NumberFormat format : {NumberFormat::kFp8E4M3, NumberFormat::kInt4}) {
    for (int64_t size : {3, 32, 128}) {
      for (const Shape& shape :
           {Shape{1, 1}, Shape{5, 7}, Shape{1000, 27}, Shape{700, 128},
            Shape{300, 1000}, Shape{129, max}, Shape{3, 5 * max + 1}}) {
        const QuantScheme scheme = Scheme(format, Granularity::kBlock, 0, size);
        SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape));
        const ParamLayout layout = *ComputeParamLayout(scheme, shape);
        const TensorPieces pieces =
            CutQuantize(DType::kBF16, scheme, layout, kSlotBytes, kChunk);
        EXPECT_FALSE(pieces.two_trips);
        const CodeRows rows(DefaultRegistry().GetCodec(format), layout.row);
        const uint64_t unit = layout.block_rows * layout.row;
        uint64_t position = 0;
        uint64_t slots_done = 0;
        for (uint64_t i = 0; i < pieces.cuts.size(); ++i) {
          const ElementRange range = pieces.cuts[i];
          ASSERT_EQ(range.begin, position);
          ASSERT_EQ(range.begin % unit, 0u);
          position = range.end;
          ASSERT_LE(range.size(), std::max<uint64_t>(unit, max));
          ASSERT_LE(range.size() * 2, pieces.input_bytes);
          ASSERT_LE(rows.BytesOf(range.begin, range.size()), pieces.code_bytes);
          const SlotRange slots = SlotsOf(layout, range.begin, range.size());
          ASSERT_EQ(slots.first, slots_done);
          slots_done += slots.count;
          ASSERT_LE(slots.count * (kSlotBytes + 8), pieces.param_bytes);
          EXPECT_FALSE(CutSegments(range, layout).has_value());
        }
        EXPECT_EQ(position, layout.num_elements);
        EXPECT_EQ(slots_done, layout.num_params);
      }
    }
  }
}

TEST(PiecesTest, Trips) {
  const struct {
    Granularity granularity;
    int axis;
    int64_t group;
    Shape shape;
    bool two_trips;
  } cases[] = {
      {Granularity::kAxis, 0, 0, {4096, 4096}, false},
      {Granularity::kGroup, 0, 128, {4096, 4096}, false},
      {Granularity::kGroup, 0, 128, {2, 1 << 20}, false},
      {Granularity::kTensor, 0, 0, {128, 128}, false},
      {Granularity::kTensor, 0, 0, {129, 128}, true},
      {Granularity::kAxis, 1, 0, {128, 128}, false},
      {Granularity::kAxis, 1, 0, {129, 128}, true},
      {Granularity::kAxis, 1, 0, {1, 4096, 16}, false},
      {Granularity::kAxis, 0, 0, {2, 1 << 20}, true},
      {Granularity::kGroup, 0, 1 << 20, {2, 1 << 20}, true},
  };
  for (const auto& c : cases) {
    const QuantScheme scheme =
        Scheme(NumberFormat::kInt4, c.granularity, c.axis, c.group);
    const ParamLayout layout = ComputeParamLayout(scheme, c.shape).value();
    EXPECT_EQ(
        CutQuantize(DType::kF32, scheme, layout, kSlotBytes, kChunk).two_trips,
        c.two_trips)
        << SchemeToString(scheme) << " " << ShapeToString(c.shape);
  }
}

// A trip for the global scale, and then pieces that have all values of their
// scales, however long the groups are.
TEST(PiecesTest, GlobalScales) {
  for (DType dtype : {DType::kF16, DType::kF64}) {
    for (int64_t group : {int64_t{1}, int64_t{16}, int64_t{3001},
                          kLargestGlobalGroup - 1, kLargestGlobalGroup}) {
      for (const Shape& shape :
           {Shape{1, group}, Shape{300, group}, Shape{3, 41 * group}}) {
        QuantScheme scheme =
            Scheme(NumberFormat::kFp4E2M1, Granularity::kGroup, 0, group);
        scheme.scale_dtype = DType::kF8E4M3;
        SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape));
        const ParamLayout layout = *ComputeParamLayout(scheme, shape);
        const TensorPieces pieces =
            CutQuantize(dtype, scheme, layout, kSlotBytes, kChunk);
        EXPECT_TRUE(pieces.two_trips);
        uint64_t position = 0;
        for (uint64_t i = 0; i < pieces.cuts.size(); ++i) {
          const ElementRange range = pieces.cuts[i];
          ASSERT_EQ(range.begin, position);
          ASSERT_EQ(range.begin % layout.segment, 0u);
          ASSERT_LE(range.size() * FloatBytes(dtype), kChunk);
          const SlotRange slots = SlotsOf(layout, range.begin, range.size());
          ASSERT_LE(slots.count * (kSlotBytes + 8), pieces.param_bytes);
          position = range.end;
        }
        EXPECT_EQ(position, layout.num_elements);
        // Nothing is kept for each scale.
        EXPECT_EQ(pieces.shared_bytes, pieces.cuts.size() * kResultBytes);
      }
    }
  }
}

// A trip for the offset of all scales, and then pieces that have all scales of
// their blocks, however many elements these are.
TEST(PiecesTest, NestedScales) {
  CodePacking packing;
  packing.first_code_high = true;
  packing.scale_block = 256;
  for (DType dtype : {DType::kF16, DType::kF64}) {
    for (int64_t group : {int64_t{64}, int64_t{128}, int64_t{4096}}) {
      for (const Shape& shape :
           {Shape{1, group}, Shape{300, group}, Shape{41, 13 * group},
            Shape{700, 3 * group}, Shape{2, 1000 * group}}) {
        const QuantScheme scheme =
            Scheme(NumberFormat::kNf4, Granularity::kGroup, 0, group);
        SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape));
        const ParamLayout layout = *ComputeParamLayout(scheme, shape);
        const TensorPieces pieces =
            CutQuantize(dtype, scheme, layout, kSlotBytes, kChunk, packing);
        EXPECT_TRUE(pieces.two_trips);
        const CodeRows rows(DefaultRegistry().GetCodec(scheme.format),
                            layout.row, packing);
        const uint64_t unit = 256 * layout.segment;
        uint64_t position = 0;
        uint64_t slots_done = 0;
        for (uint64_t i = 0; i < pieces.cuts.size(); ++i) {
          const ElementRange range = pieces.cuts[i];
          ASSERT_EQ(range.begin, position);
          ASSERT_EQ(range.begin % unit, 0u);
          ASSERT_LE(range.size(),
                    std::max<uint64_t>(unit, kChunk / FloatBytes(dtype)));
          ASSERT_LE(range.size() * FloatBytes(dtype), pieces.input_bytes);
          ASSERT_LE(rows.BytesOf(range.begin, range.size()), pieces.code_bytes);
          const SlotRange slots = SlotsOf(layout, range.begin, range.size());
          ASSERT_EQ(slots.first, slots_done);
          slots_done += slots.count;
          ASSERT_LE(slots.count * (kSlotBytes + 17) + slots.count / 64,
                    pieces.param_bytes);
          position = range.end;
        }
        EXPECT_EQ(position, layout.num_elements);
        EXPECT_EQ(slots_done, layout.num_params);
        // Nothing is kept for each scale.
        EXPECT_EQ(pieces.shared_bytes,
                  pieces.cuts.size() * kResultBytes + 254 * sizeof(uint64_t));
      }
    }
  }
}

TEST(PiecesTest, Copies) {
  EXPECT_EQ(CutCopy(DType::kF32, 0, kChunk).cuts.size(), 0u);
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(dtype).bits);
    for (uint64_t units : {1, 100, 70000}) {
      const uint64_t bytes = units * bits;  // eight elements each
      const TensorPieces pieces = CutCopy(dtype, bytes, kChunk);
      uint64_t elements = 0;
      for (uint64_t p = 0; p < pieces.cuts.size(); ++p) {
        const ElementRange range = pieces.cuts[p];
        ASSERT_EQ(range.begin * bits % 8, 0u);
        ASSERT_LE(range.size() * bits / 8, kChunk);
        ASSERT_LE(range.size() * bits / 8, pieces.input_bytes);
        elements += range.size();
      }
      ASSERT_EQ(elements, 8 * units) << DTypeName(dtype);
    }
  }
}

}  // namespace
}  // namespace monoquant
