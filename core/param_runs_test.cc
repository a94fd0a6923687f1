#include "core/param_runs.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

// The parameters of one element, from its index along every dimension.
uint64_t SlotOfElement(const QuantScheme& scheme, const Shape& shape,
                       uint64_t element) {
  uint64_t row = 1;
  for (size_t d = 1; d < shape.size(); ++d) {
    row *= static_cast<uint64_t>(shape[d]);
  }
  switch (scheme.granularity) {
    case Granularity::kTensor:
      return 0;
    case Granularity::kAxis:
      for (size_t d = shape.size(); d > static_cast<size_t>(scheme.axis) + 1;
           --d) {
        element /= static_cast<uint64_t>(shape[d - 1]);
      }
      return element %
             static_cast<uint64_t>(shape[static_cast<size_t>(scheme.axis)]);
    case Granularity::kGroup: {
      const uint64_t group = static_cast<uint64_t>(scheme.group_size);
      return element / row * (row / group) + element % row / group;
    }
    case Granularity::kBlock: {
      const uint64_t size = static_cast<uint64_t>(scheme.group_size);
      const uint64_t per_row = (row - 1) / size + 1;
      return element / row / size * per_row + element % row / size;
    }
  }
  return 0;
}

void CheckAllRanges(const QuantScheme& scheme, const Shape& shape) {
  SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape));
  const ParamLayout layout = ComputeParamLayout(scheme, shape).value();
  for (uint64_t first = 0; first <= layout.num_elements; ++first) {
    for (uint64_t count = 0; first + count <= layout.num_elements; ++count) {
      const SlotRange slots = SlotsOf(layout, first, count);
      ASSERT_LE(slots.first + slots.count, layout.num_params);
      uint64_t position = 0;
      ForEachParamRun(layout, first, count,
                      [&](uint64_t slot, size_t run, size_t offset, size_t n) {
                        ASSERT_EQ(offset, position);
                        ASSERT_GT(run, 0u);
                        ASSERT_GT(n, 0u);
                        for (size_t i = 0; i < n; ++i) {
                          const uint64_t of_element = slot + i / run;
                          ASSERT_EQ(
                              of_element,
                              SlotOfElement(scheme, shape, first + offset + i));
                          ASSERT_GE(of_element, slots.first);
                          ASSERT_LT(of_element, slots.first + slots.count);
                        }
                        position += n;
                      });
      ASSERT_EQ(position, count);
    }
  }
}

// Every shape up to 4 x 4 x 4, every granularity, every range.
TEST(ParamRunsTest, ExhaustiveSmall) {
  for (int64_t a = 1; a <= 4; ++a) {
    for (int64_t b = 1; b <= 4; ++b) {
      for (int64_t c = 1; c <= 4; ++c) {
        for (const Shape& shape : {Shape{a, b, c}, Shape{a, b}, Shape{a}}) {
          QuantScheme scheme;
          scheme.granularity = Granularity::kTensor;
          CheckAllRanges(scheme, shape);
          scheme.granularity = Granularity::kAxis;
          for (size_t axis = 0; axis < shape.size(); ++axis) {
            scheme.axis = static_cast<int>(axis);
            CheckAllRanges(scheme, shape);
          }
          scheme.axis = 0;
          scheme.granularity = Granularity::kGroup;
          for (int64_t group = 1; group <= 16; ++group) {
            scheme.group_size = group;
            if (!ComputeParamLayout(scheme, shape).ok()) continue;
            if (shape.size() > 1) CheckAllRanges(scheme, shape);
          }
        }
      }
    }
  }
}

// The same for blocks, those at the edges too.
TEST(ParamRunsTest, ExhaustiveSmallBlocks) {
  QuantScheme scheme;
  scheme.granularity = Granularity::kBlock;
  for (int64_t rows = 1; rows <= 7; ++rows) {
    for (int64_t columns = 1; columns <= 7; ++columns) {
      for (int64_t size = 1; size <= 8; ++size) {
        scheme.group_size = size;
        CheckAllRanges(scheme, {rows, columns});
      }
    }
  }
}

// Groups are handed out many at a time, not one by one.
TEST(ParamRunsTest, PartsAreLarge) {
  QuantScheme scheme;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 32;
  const ParamLayout layout = ComputeParamLayout(scheme, {64, 4096}).value();
  int parts = 0;
  ForEachParamRun(layout, 0, layout.num_elements,
                  [&](uint64_t, size_t, size_t, size_t) { ++parts; });
  EXPECT_EQ(parts, 1);
}

}  // namespace
}  // namespace monoquant
