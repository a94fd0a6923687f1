#include "core/quantize_tensor.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/param_runs.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using testing::Values;

// Every scheme with scales that fits the shape.
std::vector<QuantScheme> SchemesFor(const Shape& shape) {
  std::vector<QuantScheme> schemes;
  for (int format = 0; format < kNumNumberFormats; ++format) {
    QuantScheme scheme;
    scheme.format = static_cast<NumberFormat>(format);
    if (!HasScales(scheme.format)) continue;
    for (bool symmetric : {true, false}) {
      for (Convention convention :
           {Convention::kTorch, Convention::kCompressedTensors}) {
        if (!HasZeroPoints(scheme.format) &&
            (!symmetric || convention != Convention::kTorch)) {
          continue;
        }
        scheme.symmetric = symmetric;
        scheme.convention = convention;
        scheme.granularity = Granularity::kTensor;
        if (ComputeParamLayout(scheme, shape).ok()) schemes.push_back(scheme);
        scheme.granularity = Granularity::kAxis;
        for (size_t axis = 0; axis < shape.size(); ++axis) {
          scheme.axis = static_cast<int>(axis);
          if (ComputeParamLayout(scheme, shape).ok()) schemes.push_back(scheme);
        }
        scheme.axis = 0;
        scheme.granularity = Granularity::kGroup;
        for (int64_t group : {1, 3, 8, 32}) {
          scheme.group_size = group;
          if (ComputeParamLayout(scheme, shape).ok()) schemes.push_back(scheme);
        }
        scheme.granularity = Granularity::kBlock;
        for (int64_t size : {1, 3, 8, 32}) {
          scheme.group_size = size;
          if (ComputeParamLayout(scheme, shape).ok()) schemes.push_back(scheme);
        }
        scheme.group_size = 0;
      }
    }
  }
  return schemes;
}

const Shape kShapes[] = {{1},       {7},          {96},   {3, 5},    {16, 32},
                         {2, 3, 8}, {2, 3, 4, 5}, {5, 1}, {1, 1, 96}};

// For each element the parameters that it belongs to.
std::vector<size_t> SlotsOfElements(const ParamLayout& layout) {
  std::vector<size_t> slots(static_cast<size_t>(layout.num_elements));
  ForEachParamRun(layout, 0, layout.num_elements,
                  [&](uint64_t slot, size_t run, size_t offset, size_t count) {
                    for (size_t i = 0; i < count; ++i) {
                      slots[offset + i] = static_cast<size_t>(slot) + i / run;
                    }
                  });
  return slots;
}

// Half of the largest distance between numbers of a format without zero points
// around the number `level`.
double HalfDistance(NumberFormat format, double level) {
  switch (format) {
    case NumberFormat::kFp8E4M3:
      // Steps of a float: 2^-9, from 2^-6 on an eighth of what is there.
      return std::max(0x1p-10, level / 16);
    case NumberFormat::kFp8E5M2:
      return std::max(0x1p-17, level / 8);
    case NumberFormat::kFp4E2M1:
      return std::max(0.25, level / 4);
    case NumberFormat::kLlmInt8:
      return 0.5 / 127;
    case NumberFormat::kNf4:
      return (1 - 0.6961928) / 2;  // at the lower end
    default:
      return 1.0 / 6;  // fp4: between two and three thirds
  }
}

// The promise of min/max and round to nearest: no value moves by more than half
// a step, and quantizing what came out changes no code.
TEST(QuantizeTensorTest, ErrorIsAtMostHalfAStep) {
  for (const Shape& shape : kShapes) {
    const size_t count = static_cast<size_t>(NumElements(shape).value());
    for (const QuantScheme& scheme : SchemesFor(shape)) {
      const ParamLayout layout = ComputeParamLayout(scheme, shape).value();
      const std::vector<size_t> slots = SlotsOfElements(layout);
      for (Values kind : testing::kAllValues) {
        SCOPED_TRACE(SchemeToString(scheme) + " of " + ShapeToString(shape) +
                     " " + std::string(Name(kind)));
        const std::vector<float> values = testing::Make(kind, count);
        const auto quantized = QuantizeTensor(values, shape, scheme);
        ASSERT_TRUE(quantized.ok()) << quantized.status();
        ASSERT_EQ(quantized->scales.size(), layout.num_params);
        const auto decoded = DequantizeTensor(*quantized, shape, scheme);
        ASSERT_TRUE(decoded.ok()) << decoded.status();
        for (size_t i = 0; i < count; ++i) {
          const size_t slot = slots[i];
          // A rounded zero point moves the whole range by up to half a step.
          const double step = static_cast<double>(quantized->scales[slot]);
          double most = scheme.symmetric ? 0.5 : 1.0;
          if (!HasZeroPoints(scheme.format)) {
            most =
                HalfDistance(scheme.format,
                             std::fabs(static_cast<double>(values[i])) / step);
          }
          // What is divided by where the scale is smaller; 127 divided by one
          // that is smaller is infinite.
          if (IsCodebook(scheme.format) && step < 1e-38) most = 1;
          if (scheme.format == NumberFormat::kLlmInt8 && step < 4e-37) most = 1;
          // Scales below all normal floats have few bits; all levels add up.
          const double subnormal = scheme.format == NumberFormat::kFp8E5M2
                                       ? 57344 * 0x1p-150
                                       : 448 * 0x1p-150;
          ASSERT_LE(std::fabs(static_cast<double>((*decoded)[i]) -
                              static_cast<double>(values[i])),
                    step * most * 1.0001 + subnormal)
              << i;
        }
      }
    }
  }
}

// Quantizing what was decoded gives the same codes, where the first and the
// last level are in use. (In symmetric schemes the largest value is between two
// levels, so the scale may change; rtn_test.cc has idempotence for any scale.)
TEST(QuantizeTensorTest, IsIdempotent) {
  const Shape shape = {4, 64};
  testing::Random random(3);
  for (const QuantScheme& scheme : SchemesFor(shape)) {
    const ParamLayout layout = ComputeParamLayout(scheme, shape).value();
    if (scheme.symmetric) continue;
    const std::vector<size_t> slots = SlotsOfElements(layout);
    // Sets of one value have no two ends; some blocks at an edge are such.
    std::vector<int> sizes(static_cast<size_t>(layout.num_params));
    for (size_t slot : slots) ++sizes[slot];
    if (*std::min_element(sizes.begin(), sizes.end()) < 2) continue;
    SCOPED_TRACE(SchemeToString(scheme));
    const bool is_signed = scheme.format == NumberFormat::kInt8 ||
                           scheme.format == NumberFormat::kInt4;
    const int levels = *CodeShape(scheme.format, shape) == shape ? 256 : 16;
    const int32_t qmin = is_signed ? -levels / 2 : 0;
    QuantizedValues original;
    // Codes as bytes: any nibble and any byte is a level.
    original.codes.resize(256 * static_cast<size_t>(levels == 16 ? 4 : 8) / 8);
    for (uint8_t& code : original.codes) {
      code = static_cast<uint8_t>(random.Bits());
    }
    for (uint64_t i = 0; i < layout.num_params; ++i) {
      original.scales.push_back(random.Uniform(0.01f, 3));
      original.zero_points.push_back(
          qmin +
          static_cast<int32_t>(random.Below(static_cast<uint64_t>(levels))));
    }
    std::vector<float> values =
        DequantizeTensor(original, shape, scheme).value();
    // Put the two ends into every set, in place of two other values.
    for (uint64_t set = 0; set < layout.num_params; ++set) {
      int ends = 0;
      for (uint64_t i = 0; i < values.size() && ends < 2; ++i) {
        if (slots[static_cast<size_t>(i)] != set) continue;
        const int32_t end = ends++ == 0 ? qmin : qmin + levels - 1;
        const size_t s = static_cast<size_t>(set);
        values[static_cast<size_t>(i)] =
            static_cast<float>(end - original.zero_points[s]) *
            original.scales[s];
      }
    }
    const QuantizedValues first = *QuantizeTensor(values, shape, scheme);
    const std::vector<float> decoded = *DequantizeTensor(first, shape, scheme);
    const QuantizedValues second = *QuantizeTensor(decoded, shape, scheme);
    EXPECT_TRUE(second.codes == first.codes);
    EXPECT_TRUE(second.zero_points == first.zero_points);
  }
}

// Codes of a known matrix, to be read by eye.
TEST(QuantizeTensorTest, Example) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kInt4;
  const auto result =
      QuantizeTensor({-7.5f, 6.5f, 1, 0, 15, -3}, {2, 3}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->scales, (std::vector<float>{1, 2}));
  EXPECT_EQ(result->zero_points, (std::vector<int32_t>{0, 0}));
  // -7.5 -> -8, 6.5 -> 6, 1 | 0, 7.5 -> 8 -> 7, -1.5 -> -2
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0x68, 0x01, 0x70, 0x0e}));
}

// FP8 codes of a known matrix.
TEST(QuantizeTensorTest, Float8Example) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp8E4M3;
  const std::vector<float> values = {448, -17, 18, -0.0f, 0.875f, 0};
  const auto result = QuantizeTensor(values, {2, 3}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->scales, (std::vector<float>{1, 0x1p-9f}));
  EXPECT_TRUE(result->zero_points.empty());
  // 448, -17 -> -16 (a tie, to even), 18 | -0, 448, 0
  EXPECT_EQ(result->codes,
            (std::vector<uint8_t>{0x7e, 0xd8, 0x59, 0x80, 0x7e, 0x00}));
  EXPECT_EQ(*DequantizeTensor(*result, {2, 3}, scheme),
            (std::vector<float>{448, -16, 18, -0.0f, 0.875f, 0}));
}

// A block has one scale, whether it is whole or at an edge.
TEST(QuantizeTensorTest, BlocksExample) {
  QuantScheme scheme;
  scheme.granularity = Granularity::kBlock;
  scheme.group_size = 2;
  const std::vector<float> values = {0.8f, 2,  510,  //
                                     4,    51, 8,    //
                                     5,    0,  1020};
  const QuantizedValues quantized =
      QuantizeTensor(values, {3, 3}, scheme).value();
  EXPECT_EQ(quantized.scales, (std::vector<float>{51 / 127.5f, 510 / 127.5f,
                                                  5 / 127.5f, 1020 / 127.5f}));
  EXPECT_EQ(quantized.codes,
            (std::vector<uint8_t>{2, 5, 127, 10, 127, 2, 127, 0, 127}));
}

// Codes of codebooks: places in a table, of which nf4 has 0 at 7, fp4 at 0 and,
// for what is a little more, at 8.
TEST(QuantizeTensorTest, CodebookExample) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kNf4;
  const std::vector<float> values = {2, -2, 0.1f, 0, 0, -0.0f, 0, 0};
  auto result = QuantizeTensor(values, {2, 4}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->scales, (std::vector<float>{2, 0}));
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0x0f, 0x78, 0x77, 0x77}));
  EXPECT_EQ(
      *DequantizeTensor(*result, {2, 4}, scheme),
      (std::vector<float>{2, -2, 2 * 0.07958029955625534f, 0, 0, 0, 0, 0}));
  scheme.format = NumberFormat::kFp4;
  result = QuantizeTensor(values, {2, 4}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0xb3, 0x01, 0x00, 0x00}));
  result = QuantizeTensor({1, 0.001f}, {1, 2}, scheme);
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0x83}));
}

// A scale is the largest magnitude, which has the code 127 or -127.
TEST(QuantizeTensorTest, LlmInt8Example) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kLlmInt8;
  const std::vector<float> values = {127,    -126.5f, 0.5f,  //
                                     -254,   3,       -2,    //
                                     0,      -0.0f,   0,     //
                                     1e-37f, -2e-37f, 3e-37f};
  const auto result = QuantizeTensor(values, {4, 3}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->scales, (std::vector<float>{127, 254, 0, 3e-37f}));
  EXPECT_TRUE(result->zero_points.empty());
  // 127, -126 (a tie), 0 (a tie) | -127, 2 (a tie), -1 | 0 | 0, as 127 / 3e-37
  // is no float.
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{127, 0x82, 0, 0x81, 2, 0xff, 0,
                                                 0, 0, 0, 0, 0}));
  EXPECT_EQ(*DequantizeTensor(*result, {4, 3}, scheme),
            (std::vector<float>{127, -126, 0, -254, 4, -2, 0, 0, 0, 0, 0, 0}));
}

// With scales that are powers of two, values beyond the largest code take it.
TEST(QuantizeTensorTest, PowerOfTwoExample) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp4E2M1;
  scheme.scale_dtype = DType::kF8E8M0;
  const auto result = QuantizeTensor(
      {6.9f, -5, 0.2f, -0.2f, 7, -5, 0.5f, -0.0f}, {2, 4}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->scales, (std::vector<float>{1, 2}));
  // 6, -4 (a tie), 0, -0 | 3.5 -> 4 (a tie), -2.5 -> -2, 0.25 -> 0, 0
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0xe7, 0x80, 0xc6, 0x00}));
}

// With a scale above the scales: 448 * 6 by the largest magnitude.
TEST(QuantizeTensorTest, GlobalScaleExample) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp4E2M1;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 2;
  scheme.scale_dtype = DType::kF8E4M3;
  const auto result = QuantizeTensor({6, -3, 0.7f, 0.1f}, {1, 4}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->global_scale, 448);
  // 0.7 / 6 * 448 = 52.3
  EXPECT_EQ(result->scales, (std::vector<float>{448, 52}));
  // 6, -3 | 6.03 -> 6, 0.86 -> 1
  EXPECT_EQ(result->codes, (std::vector<uint8_t>{0xd7, 0x27}));
  const float least = 52.0f / 448.0f;
  EXPECT_EQ(*DequantizeTensor(*result, {1, 4}, scheme),
            (std::vector<float>{6, -3, 6 * least, least}));
}

TEST(QuantizeTensorTest, FloatFormats) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp16;
  const auto result = QuantizeTensor({1, -65504, 1e-8f}, {3}, scheme);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->codes,
            (std::vector<uint8_t>{0x00, 0x3c, 0xff, 0xfb, 0x00, 0x00}));
  EXPECT_TRUE(result->scales.empty());
  EXPECT_EQ(*DequantizeTensor(*result, {3}, scheme),
            (std::vector<float>{1, -65504, 0}));
}

TEST(QuantizeTensorTest, Empty) {
  for (const Shape& shape :
       {Shape{0}, Shape{0, 5}, Shape{5, 0}, Shape{3, 0, 2}}) {
    for (const QuantScheme& scheme : SchemesFor(shape)) {
      const auto result = QuantizeTensor({}, shape, scheme);
      ASSERT_TRUE(result.ok()) << result.status();
      EXPECT_TRUE(result->codes.empty());
      for (float scale : result->scales)
        EXPECT_TRUE(scale > 0 || IsOfBitsandbytes(scheme.format));
      EXPECT_TRUE(DequantizeTensor(*result, shape, scheme).value().empty());
    }
  }
}

TEST(QuantizeTensorTest, Refuses) {
  const std::vector<float> values(12, 1.0f);
  QuantScheme scheme;
  ExpectError(QuantizeTensor(values, {3, 5}, scheme),
              absl::StatusCode::kInvalidArgument,
              "12 values where shape [3, 5] needs 15");
  scheme.axis = 2;
  EXPECT_FALSE(QuantizeTensor(values, {3, 4}, scheme).ok());
  scheme.axis = 0;
  std::vector<float> bad = values;
  bad[7] = std::nanf("");
  ExpectError(QuantizeTensor(bad, {3, 4}, scheme),
              absl::StatusCode::kFailedPrecondition,
              "holds NaN at index [1, 3], which int8 cannot hold");
  bad[7] = -std::numeric_limits<float>::infinity();
  ExpectError(QuantizeTensor(bad, {3, 4}, scheme),
              absl::StatusCode::kFailedPrecondition,
              "holds -infinity at index [1, 3]");

  const QuantizedValues good = *QuantizeTensor(values, {3, 4}, scheme);
  QuantizedValues damaged = good;
  damaged.codes.pop_back();
  ExpectError(DequantizeTensor(damaged, {3, 4}, scheme),
              absl::StatusCode::kInvalidArgument, "11 bytes of codes");
  damaged = good;
  damaged.scales.push_back(1);
  ExpectError(DequantizeTensor(damaged, {3, 4}, scheme),
              absl::StatusCode::kInvalidArgument, "4 scales");
  damaged = good;
  damaged.zero_points.clear();
  ExpectError(DequantizeTensor(damaged, {3, 4}, scheme),
              absl::StatusCode::kInvalidArgument, "0 zero points");
}

}  // namespace
}  // namespace monoquant
