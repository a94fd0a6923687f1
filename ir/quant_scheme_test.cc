#include "ir/quant_scheme.h"

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

// Every shape of up to three dimensions of 0 to 4.
std::vector<Shape> SmallShapes() {
  std::vector<Shape> shapes = {{}};
  for (size_t i = 0; i < shapes.size(); ++i) {
    if (shapes[i].size() == 3) continue;
    for (int64_t dim = 0; dim <= 4; ++dim) {
      Shape longer = shapes[i];
      longer.push_back(dim);
      shapes.push_back(longer);
    }
  }
  return shapes;
}

// Every scheme that means something.
std::vector<QuantScheme> AllSchemes() {
  std::vector<QuantScheme> schemes;
  for (int f = 0; f < kNumNumberFormats; ++f) {
    QuantScheme scheme;
    scheme.format = static_cast<NumberFormat>(f);
    if (!HasScales(scheme.format)) {
      schemes.push_back(scheme);
      continue;
    }
    for (bool symmetric : {false, true}) {
      for (Convention convention :
           {Convention::kTorch, Convention::kCompressedTensors}) {
        if (!HasZeroPoints(scheme.format) &&
            (!symmetric || convention != Convention::kTorch)) {
          continue;
        }
        scheme.symmetric = symmetric;
        scheme.convention = convention;
        scheme.axis = 0;
        scheme.group_size = 0;
        scheme.granularity = Granularity::kTensor;
        for (DType dtype : {DType::kF8E4M3, DType::kF8E8M0, DType::kBF16,
                            DType::kF16, DType::kF32}) {
          if (!ScalesCanBe(scheme.format, dtype)) continue;
          scheme.scale_dtype = dtype;
          schemes.push_back(scheme);
        }
        scheme.granularity = Granularity::kAxis;
        for (int axis : {0, 1, 63}) {
          scheme.axis = axis;
          schemes.push_back(scheme);
        }
        scheme.axis = 0;
        scheme.granularity = Granularity::kGroup;
        for (int64_t group : {int64_t{1}, int64_t{128}, int64_t{1} << 40}) {
          scheme.group_size = group;
          schemes.push_back(scheme);
        }
        scheme.granularity = Granularity::kBlock;
        schemes.push_back(scheme);
      }
    }
  }
  return schemes;
}

int64_t Product(const Shape& shape) {
  int64_t product = 1;
  for (int64_t dim : shape) product *= dim;
  return product;
}

TEST(QuantSchemeTest, NamesLeadBack) {
  for (int i = 0; i < kNumNumberFormats; ++i) {
    const auto format = static_cast<NumberFormat>(i);
    EXPECT_EQ(NumberFormatFromName(NumberFormatName(format)), format);
  }
  for (Granularity granularity :
       {Granularity::kTensor, Granularity::kAxis, Granularity::kGroup}) {
    EXPECT_EQ(GranularityFromName(GranularityName(granularity)), granularity);
  }
  EXPECT_EQ(GranularityFromName("channel"), Granularity::kAxis);
  for (Convention convention :
       {Convention::kTorch, Convention::kCompressedTensors}) {
    EXPECT_EQ(ConventionFromName(ConventionName(convention)), convention);
  }
  for (DType dtype : {DType::kBF16, DType::kF16, DType::kF32}) {
    EXPECT_TRUE(IsScaleDType(dtype));
    EXPECT_EQ(ScaleDTypeFromName(DTypeName(dtype)), dtype);
  }
  EXPECT_FALSE(IsScaleDType(DType::kF8E8M0));
  EXPECT_EQ(ScaleDTypeFromName(DTypeName(DType::kF8E8M0)), DType::kF8E8M0);
  EXPECT_TRUE(ScalesCanBe(NumberFormat::kFp8E4M3, DType::kF8E8M0));
  EXPECT_TRUE(ScalesCanBe(NumberFormat::kFp4E2M1, DType::kBF16));
  EXPECT_FALSE(ScalesCanBe(NumberFormat::kNf4, DType::kF8E8M0));
  EXPECT_EQ(ScaleDTypeFromName("e4m3"), DType::kF8E4M3);
  EXPECT_TRUE(ScalesCanBe(NumberFormat::kFp4E2M1, DType::kF8E4M3));
  EXPECT_FALSE(ScalesCanBe(NumberFormat::kFp8E4M3, DType::kF8E4M3));
  EXPECT_EQ(ScaleDTypeNames(NumberFormat::kNf4), "F32, F16 or BF16");
  EXPECT_FALSE(ScalesCanBe(NumberFormat::kFp8E5M2, DType::kF8E5M2));
  EXPECT_EQ(ScaleDTypeFromName("fp16"), DType::kF16);
  EXPECT_EQ(ScaleDTypeFromName("bfloat16"), DType::kBF16);
  EXPECT_FALSE(ScaleDTypeFromName("F64").has_value());
  EXPECT_FALSE(IsScaleDType(DType::kF64));
  EXPECT_FALSE(NumberFormatFromName("int9").has_value());
  EXPECT_FALSE(GranularityFromName("").has_value());
  EXPECT_FALSE(ConventionFromName("Torch").has_value());
}

TEST(QuantSchemeTest, ToString) {
  QuantScheme scheme;
  EXPECT_EQ(SchemeToString(scheme), "int8 axis 0 symmetric");
  scheme.format = NumberFormat::kInt4;
  scheme.granularity = Granularity::kGroup;
  scheme.group_size = 128;
  scheme.symmetric = false;
  EXPECT_EQ(SchemeToString(scheme), "int4 group 128 asymmetric");
  scheme.granularity = Granularity::kTensor;
  scheme.convention = Convention::kCompressedTensors;
  EXPECT_EQ(SchemeToString(scheme),
            "int4 tensor asymmetric compressed-tensors");
  scheme.scale_dtype = DType::kBF16;
  EXPECT_EQ(SchemeToString(scheme),
            "int4 tensor asymmetric compressed-tensors, BF16 scales");
  scheme.scale_dtype = DType::kF32;
  scheme.format = NumberFormat::kBf16;
  EXPECT_EQ(SchemeToString(scheme), "bf16");
  scheme.format = NumberFormat::kFp8E4M3;
  EXPECT_EQ(SchemeToString(scheme), "fp8_e4m3 tensor");
  scheme.format = NumberFormat::kFp4E2M1;
  scheme.scale_dtype = DType::kF8E8M0;
  EXPECT_EQ(SchemeToString(scheme), "fp4_e2m1 tensor, F8_E8M0 scales");
}

TEST(QuantSchemeTest, NamedSchemes) {
  std::string text;
  for (const NamedScheme& named : NamedSchemes()) {
    EXPECT_TRUE(ScalesCanBe(named.scheme.format, named.scheme.scale_dtype));
    EXPECT_FALSE(NumberFormatFromName(named.name).has_value());
    EXPECT_EQ(HasGlobalScale(named.scheme), named.name == "nvfp4");
    text +=
        std::string(named.name) + ": " + SchemeToString(named.scheme) + "\n";
  }
  EXPECT_EQ(text,
            "mxfp4: fp4_e2m1 group 32, F8_E8M0 scales\n"
            "mxfp8: fp8_e4m3 group 32, F8_E8M0 scales\n"
            "nvfp4: fp4_e2m1 group 16, F8_E4M3 scales\n");
}

TEST(QuantSchemeTest, JsonRoundTrips) {
  for (const QuantScheme& scheme : AllSchemes()) {
    const Json json = SchemeToJson(scheme);
    const absl::StatusOr<QuantScheme> read =
        SchemeFromJson(ParseJson(json.ToString()).value());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, scheme) << json.ToString();
  }
}

TEST(QuantSchemeTest, JsonDefaults) {
  EXPECT_EQ(SchemeFromJson(Json(Json::Object())).value(), QuantScheme());
}

TEST(QuantSchemeTest, JsonRefuses) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "must be an object"},
      {"{\"format\":\"int9\"}",
       "\"format\" must be one of int8, uint8, int4, uint4, fp16, bf16, "
       "fp8_e4m3, fp8_e5m2, nf4, fp4, fp4_e2m1, llm_int8, found \"int9\""},
      {"{\"format\":8}", "\"format\" must be"},
      {"{\"granularity\":\"row\"}", "one of tensor, axis, group, block"},
      {"{\"convention\":null}", "\"convention\" must be"},
      {"{\"scale_dtype\":\"F64\"}", "\"scale_dtype\" must be F32, F16 or"},
      {"{\"scale_dtype\":16}", "\"scale_dtype\" must be F32, F16 or BF16"},
      {"{\"scale_dtype\":\"F8_E8M0\"}", "must be F32, F16 or BF16, found"},
      {"{\"format\":\"fp4_e2m1\",\"scale_dtype\":\"I8\"}",
       "\"scale_dtype\" must be F32, F16, BF16, F8_E8M0 or F8_E4M3, found "
       "\"I8\""},
      {"{\"format\":\"fp8_e5m2\",\"scale_dtype\":\"F8_E4M3\"}",
       "\"scale_dtype\" must be F32, F16, BF16 or F8_E8M0, found"},
      {"{\"format\":\"bf16\",\"scale_dtype\":\"BF16\"}",
       "\"scale_dtype\" is no member of bf16 schemes, which have format"},
      {"{\"symmetric\":1}", "true or false, found 1"},
      {"{\"axis\":-1}", "0 to 63, found -1"},
      {"{\"axis\":64}", "0 to 63, found 64"},
      {"{\"axis\":0.0}", "0 to 63"},
      {"{\"granularity\":\"group\"}", "\"group_size\" is missing"},
      {"{\"granularity\":\"block\"}",
       "\"group_size\" is missing, granularity block needs it"},
      {"{\"granularity\":\"group\",\"group_size\":0}", "positive"},
      {"{\"granularity\":\"group\",\"group_size\":-4}", "positive"},
      {"{\"granularity\":\"group\",\"group_size\":18446744073709551615}",
       "positive"},
      {"{\"granularity\":\"tensor\",\"axis\":0}", "\"axis\" is no member"},
      {"{\"granularity\":\"axis\",\"group_size\":4}",
       "\"group_size\" is no member of int8 axis schemes"},
      {"{\"format\":\"bf16\",\"symmetric\":true}",
       "\"symmetric\" is no member of bf16 schemes, which have format"},
      // There is nothing to say about it.
      {"{\"format\":\"fp8_e4m3\",\"convention\":\"torch\"}",
       "\"convention\" is no member of fp8_e4m3 axis schemes, which have "
       "format, granularity, axis"},
      {"{\"bits\":8}", "\"bits\" is no member"},
  };
  for (const auto& [text, message] : cases) {
    SCOPED_TRACE(text);
    ExpectError(SchemeFromJson(ParseJson(text).value()),
                absl::StatusCode::kInvalidArgument, message);
  }
}

// The cut arithmetic against the definition by coordinates: two elements have
// the same parameter if and only if the granularity says so.
TEST(ParamLayoutTest, AgreesWithCoordinates) {
  for (const Shape& shape : SmallShapes()) {
    const size_t dims = shape.size();
    std::vector<QuantScheme> schemes(1);
    schemes[0].granularity = Granularity::kTensor;
    for (size_t axis = 0; axis < dims; ++axis) {
      schemes.emplace_back().axis = static_cast<int>(axis);
    }
    for (int64_t group = 1; group <= 16; ++group) {
      QuantScheme& scheme = schemes.emplace_back();
      scheme.granularity = Granularity::kGroup;
      scheme.group_size = group;
    }
    const int64_t elements = Product(shape);
    const int64_t rows = dims < 2 ? 1 : shape[0];
    const int64_t row =
        dims < 2 ? elements : Product(Shape(shape.begin() + 1, shape.end()));
    for (const QuantScheme& scheme : schemes) {
      SCOPED_TRACE(ShapeToString(shape) + " " + SchemeToString(scheme));
      const absl::StatusOr<ParamLayout> layout =
          ComputeParamLayout(scheme, shape);
      if (scheme.granularity == Granularity::kGroup &&
          row % scheme.group_size != 0) {
        ExpectError(layout, absl::StatusCode::kFailedPrecondition,
                    "does not divide the row length");
        continue;
      }
      ASSERT_TRUE(layout.ok()) << layout.status();
      EXPECT_EQ(layout->num_elements, static_cast<uint64_t>(elements));
      EXPECT_EQ(layout->row, static_cast<uint64_t>(row));
      EXPECT_EQ(layout->num_rows, static_cast<uint64_t>(rows));
      EXPECT_EQ(layout->num_params,
                static_cast<uint64_t>(Product(layout->param_shape)));
      ASSERT_GE(layout->segment, 1u);
      for (int64_t i = 0; i < elements; ++i) {
        int64_t expected = 0;
        if (scheme.granularity == Granularity::kAxis) {
          const size_t axis = static_cast<size_t>(scheme.axis);
          const int64_t inner =
              Product(Shape(shape.begin() + scheme.axis + 1, shape.end()));
          expected = i / inner % shape[axis];
        } else if (scheme.granularity == Granularity::kGroup) {
          // Groups of the row, counted through all rows.
          const int64_t groups_per_row = row / scheme.group_size;
          expected = i / row * groups_per_row + i % row / scheme.group_size;
        }
        ASSERT_EQ(
            static_cast<uint64_t>(i) / layout->segment % layout->num_params,
            static_cast<uint64_t>(expected));
      }
    }
  }
}

// Blocks of a matrix, cut off at its edges.
TEST(ParamLayoutTest, Blocks) {
  QuantScheme scheme;
  scheme.granularity = Granularity::kBlock;
  scheme.group_size = 128;
  ParamLayout layout = ComputeParamLayout(scheme, {200, 300}).value();
  EXPECT_EQ(layout.block_rows, 128u);
  EXPECT_EQ(layout.segment, 128u);
  EXPECT_EQ(layout.num_params, 6u);
  EXPECT_EQ(layout.param_shape, (Shape{2, 3}));
  // Smaller than a block.
  layout = ComputeParamLayout(scheme, {2, 300}).value();
  EXPECT_EQ(layout.block_rows, 2u);
  EXPECT_EQ(layout.param_shape, (Shape{1, 3}));
  // No overflow, whatever the size.
  scheme.group_size = std::numeric_limits<int64_t>::max();
  layout = ComputeParamLayout(scheme, {200, 300}).value();
  EXPECT_EQ(layout.segment, 300u);
  EXPECT_EQ(layout.param_shape, (Shape{1, 1}));
  // Nothing to cut.
  layout = ComputeParamLayout(scheme, {0, 300}).value();
  EXPECT_EQ(layout.num_params, 0u);
  EXPECT_EQ(layout.param_shape, (Shape{0, 1}));
  layout = ComputeParamLayout(scheme, {3, 0}).value();
  EXPECT_EQ(layout.num_params, 0u);
}

TEST(ParamLayoutTest, FloatFormatsHaveNoParameters) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp16;
  for (const Shape& shape : SmallShapes()) {
    const ParamLayout layout = ComputeParamLayout(scheme, shape).value();
    EXPECT_EQ(layout.num_params, 0u);
    EXPECT_TRUE(layout.param_shape.empty());
    EXPECT_GE(layout.segment, 1u);
    EXPECT_EQ(layout.num_elements, static_cast<uint64_t>(Product(shape)));
  }
}

TEST(ParamLayoutTest, Refuses) {
  QuantScheme scheme;
  scheme.axis = 2;
  ExpectError(ComputeParamLayout(scheme, {3, 4}),
              absl::StatusCode::kInvalidArgument,
              "axis 2 is out of range for shape [3, 4] of 2 dimensions");
  scheme.axis = -1;
  ExpectError(ComputeParamLayout(scheme, {3, 4}),
              absl::StatusCode::kInvalidArgument, "axis -1");
  scheme.axis = 0;
  ExpectError(ComputeParamLayout(scheme, {}),
              absl::StatusCode::kInvalidArgument, "of 0 dimensions");
  ExpectError(ComputeParamLayout(scheme, {-3}),
              absl::StatusCode::kInvalidArgument, "negative");
  scheme.granularity = Granularity::kGroup;
  ExpectError(ComputeParamLayout(scheme, {3, 4}),
              absl::StatusCode::kInvalidArgument, "group size 0");
  scheme.group_size = 3;
  ExpectError(ComputeParamLayout(scheme, {3, 4}),
              absl::StatusCode::kFailedPrecondition,
              "group size 3 does not divide the row length 4 of shape [3, 4]");
  scheme.granularity = Granularity::kBlock;
  ExpectError(ComputeParamLayout(scheme, {3, 4, 5}),
              absl::StatusCode::kFailedPrecondition,
              "blocks are of matrices, not of shape [3, 4, 5]; choose");
  scheme.group_size = -1;
  ExpectError(ComputeParamLayout(scheme, {3, 4}),
              absl::StatusCode::kInvalidArgument, "group size -1 is not");
}

// Of LLM.int8 there are scales of rows alone.
TEST(ParamLayoutTest, RowScales) {
  QuantScheme scheme;
  scheme.format = NumberFormat::kLlmInt8;
  EXPECT_EQ(SchemeToString(scheme), "llm_int8 axis 0");
  const ParamLayout layout = ComputeParamLayout(scheme, {6, 2, 64}).value();
  EXPECT_EQ(layout.param_shape, Shape{6});
  EXPECT_EQ(layout.segment, 128u);
  std::vector<QuantScheme> others(3, scheme);
  others[0].granularity = Granularity::kTensor;
  others[1].axis = 1;
  others[2].granularity = Granularity::kGroup;
  others[2].group_size = 64;
  for (const QuantScheme& other : others) {
    ExpectError(ComputeParamLayout(other, {6, 64}),
                absl::StatusCode::kFailedPrecondition,
                "llm_int8 has a scale for each index of axis 0 and no other, "
                "found " +
                    SchemeToString(other) + "; use granularity axis, or int8");
  }
}

TEST(CodeShapeTest, PacksRows) {
  for (const Shape& shape : SmallShapes()) {
    for (int f = 0; f < kNumNumberFormats; ++f) {
      const auto format = static_cast<NumberFormat>(f);
      const Shape codes = CodeShape(format, shape).value();
      if (CodeDType(format) == DType::kU8 && format != NumberFormat::kUInt8) {
        const int64_t rows = shape.size() < 2 ? 1 : shape[0];
        const int64_t row =
            shape.size() < 2 ? Product(shape)
                             : Product(Shape(shape.begin() + 1, shape.end()));
        EXPECT_EQ(codes, (Shape{rows, (row + 1) / 2})) << ShapeToString(shape);
      } else {
        EXPECT_EQ(codes, shape);
      }
    }
  }
  ExpectError(CodeShape(NumberFormat::kInt4, {int64_t{1} << 40, 1 << 30}),
              absl::StatusCode::kInvalidArgument, "elements");
}

TEST(CodeDTypeTest, AllFormats) {
  const std::map<NumberFormat, DType> expected = {
      {NumberFormat::kInt8, DType::kI8},
      {NumberFormat::kUInt8, DType::kU8},
      {NumberFormat::kInt4, DType::kU8},
      {NumberFormat::kUInt4, DType::kU8},
      {NumberFormat::kFp8E4M3, DType::kF8E4M3},
      {NumberFormat::kFp8E5M2, DType::kF8E5M2},
      {NumberFormat::kNf4, DType::kU8},
      {NumberFormat::kFp4, DType::kU8},
      {NumberFormat::kFp4E2M1, DType::kU8},
      {NumberFormat::kLlmInt8, DType::kI8},
      {NumberFormat::kFp16, DType::kF16},
      {NumberFormat::kBf16, DType::kBF16},
  };
  ASSERT_EQ(expected.size(), static_cast<size_t>(kNumNumberFormats));
  for (const auto& [format, dtype] : expected) {
    EXPECT_EQ(CodeDType(format), dtype);
  }
}

// A reader without monoquant subtracts zero points as they are, so their dtype
// has the sign of the format, packed or not.
TEST(ZeroPointDTypeTest, HasTheSignOfTheFormat) {
  EXPECT_EQ(ZeroPointDType(NumberFormat::kInt8), DType::kI8);
  EXPECT_EQ(ZeroPointDType(NumberFormat::kUInt8), DType::kU8);
  EXPECT_EQ(ZeroPointDType(NumberFormat::kInt4), DType::kI8);
  EXPECT_EQ(ZeroPointDType(NumberFormat::kUInt4), DType::kU8);
}

}  // namespace
}  // namespace monoquant
