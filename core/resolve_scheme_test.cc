#include "core/resolve_scheme.h"

#include <string>

#include "core/recipe.h"
#include "gtest/gtest.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

absl::StatusOr<ResolvedScheme> Resolve(const char* spec, const Shape& shape) {
  return ResolveScheme(**ParseSchemeSpec(spec), shape);
}

TEST(ResolveSchemeTest, Table) {
  const struct {
    const char* spec;
    Shape shape;
    const char* scheme;
    const char* note;
  } cases[] = {
      {"int8", {4, 100}, "int8 axis 0 symmetric", ""},
      {"int8", {16, 8, 3, 3}, "int8 axis 0 symmetric", ""},
      {"int8", {100}, "int8 tensor symmetric", ""},
      {"int8", {}, "int8 tensor symmetric", ""},
      {"uint8,asymmetric", {4, 100}, "uint8 axis 0 asymmetric", ""},
      {"int8,axis=1", {4, 100}, "int8 axis 1 symmetric", ""},
      {"int8,axis=0", {100}, "int8 axis 0 symmetric", ""},
      {"int8,tensor", {4, 100}, "int8 tensor symmetric", ""},
      {"int8,group", {4, 256}, "int8 group 128 symmetric", ""},
      {"int4", {4, 256}, "int4 group 128 symmetric", ""},
      {"int4", {4, 2, 96}, "int4 group 64 symmetric", ""},
      {"int4", {4, 96}, "int4 group 32 symmetric", ""},
      {"int4",
       {4, 100},
       "int4 axis 0 symmetric",
       "no group of 128, 64 or 32 divides its row of 100"},
      {"int4",
       {16, 3, 3, 3},
       "int4 axis 0 symmetric",
       "no group of 128, 64 or 32 divides its row of 27"},
      {"int4", {256}, "int4 group 128 symmetric", ""},
      {"int4",
       {27},
       "int4 tensor symmetric",
       "no group of 128, 64 or 32 divides its row of 27"},
      {"int4,group=25", {4, 100}, "int4 group 25 symmetric", ""},
      {"int4,axis=1,convention=compressed-tensors",
       {4, 100},
       "int4 axis 1 symmetric compressed-tensors",
       ""},
      {"fp16", {4, 100}, "fp16", ""},
      {"bf16", {}, "bf16", ""},
      {"fp8_e4m3", {64, 96}, "fp8_e4m3 axis 0", ""},
      {"fp8_e4m3", {96}, "fp8_e4m3 tensor", ""},
      {"fp8_e4m3,group", {64, 96}, "fp8_e4m3 group 32", ""},
      {"fp8_e4m3,convention=compressed-tensors", {4, 4}, "fp8_e4m3 axis 0", ""},
      {"fp8_e4m3,block", {200, 96}, "fp8_e4m3 block 128", ""},
      {"int8,block=32", {4, 100}, "int8 block 32 symmetric", ""},
      {"fp8_e4m3,block",
       {8, 3, 3},
       "fp8_e4m3 axis 0",
       "blocks are of matrices"},
      {"fp8_e4m3,block", {9}, "fp8_e4m3 tensor", "blocks are of matrices"},
      {"fp8_e5m2", {64, 96}, "fp8_e5m2 axis 0", ""},
      {"nf4", {4, 256}, "nf4 group 64", ""},
      {"nf4,group", {4, 96}, "nf4 group 32", ""},
      {"fp4,group=128", {4, 256}, "fp4 group 128", ""},
      {"fp4",
       {4, 100},
       "fp4 axis 0",
       "no group of 64 or 32 divides its row of 100"},
      {"llm_int8", {4, 100}, "llm_int8 axis 0", ""},
      {"llm_int8,axis", {4, 3, 5}, "llm_int8 axis 0", ""},
      {"fp4_e2m1", {4, 256}, "fp4_e2m1 group 128", ""},
      {"fp4_e2m1,scale_dtype=e8m0",
       {4, 256},
       "fp4_e2m1 group 32, F8_E8M0 scales",
       ""},
      {"mxfp4", {4, 128}, "fp4_e2m1 group 32, F8_E8M0 scales", ""},
      {"mxfp8", {4, 128}, "fp8_e4m3 group 32, F8_E8M0 scales", ""},
      {"nvfp4", {4, 128}, "fp4_e2m1 group 16, F8_E4M3 scales", ""},
      {"nvfp4",
       {4, 100},
       "fp4_e2m1 axis 0, F8_E4M3 scales",
       "no group of 16 divides its row of 100"},
      {"fp4_e2m1,scale_dtype=e4m3",
       {4, 48},
       "fp4_e2m1 group 16, F8_E4M3 scales",
       ""},
      {"fp8_e4m3,scale_dtype=e8m0",
       {4, 256},
       "fp8_e4m3 group 32, F8_E8M0 scales",
       ""},
      {"fp8_e4m3,axis=0,scale_dtype=e8m0",
       {4, 256},
       "fp8_e4m3 axis 0, F8_E8M0 scales",
       ""},
      {"fp8_e5m2,scale_dtype=e8m0",
       {4, 100},
       "fp8_e5m2 axis 0, F8_E8M0 scales",
       "no group of 32 divides its row of 100"},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<ResolvedScheme> resolved = Resolve(c.spec, c.shape);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_EQ(SchemeToString(resolved->scheme), c.scheme) << c.spec;
    EXPECT_EQ(resolved->note, c.note) << c.spec;
    EXPECT_TRUE(ComputeParamLayout(resolved->scheme, c.shape).ok());
  }
}

// An axis that nobody has stated is that of the output channels.
TEST(ResolveSchemeTest, OutputAxis) {
  const struct {
    const char* spec;
    Shape shape;
    const char* scheme;
  } cases[] = {
      {"int8", {4, 100}, "int8 axis 1 symmetric"},
      {"int8,axis", {4, 3, 5}, "int8 axis 1 symmetric"},
      {"int8,axis=0", {4, 100}, "int8 axis 0 symmetric"},
      {"int8,tensor", {4, 100}, "int8 tensor symmetric"},
      {"int4", {4, 256}, "int4 group 128 symmetric"},
      {"int4", {4, 100}, "int4 axis 1 symmetric"},
      {"fp8_e4m3,block", {8, 3, 3}, "fp8_e4m3 axis 1"},
      {"llm_int8", {4, 100}, "llm_int8 axis 0"},
      {"int8", {100}, "int8 tensor symmetric"},
      {"int8,axis", {100}, "int8 tensor symmetric"},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<ResolvedScheme> resolved =
        ResolveScheme(**ParseSchemeSpec(c.spec), c.shape, DType::kF32,
                      /*output_axis=*/1);
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_EQ(SchemeToString(resolved->scheme), c.scheme) << c.spec;
  }
}

TEST(ResolveSchemeTest, Refuses) {
  const auto code = absl::StatusCode::kFailedPrecondition;
  ExpectError(Resolve("int4,group=64", {4, 100}), code,
              "group size 64 does not divide its row of 100 elements, 50 and "
              "100 would; ");
  ExpectError(Resolve("int4,group=64", {4, 32}), code, "elements, 32 would; ");
  for (const Shape& shape : {Shape{}, Shape{100}}) {
    ExpectError(Resolve("llm_int8", shape), code,
                "llm_int8 has a scale for each row, and shape " +
                    ShapeToString(shape) + " has no rows; use int8");
  }
  ExpectError(Resolve("int4,group=64", {4, 101}), code, "elements, 101 would;");
  ExpectError(Resolve("int4,group=5", {4, 96}), code,
              "elements, 4 and 6 would");
  ExpectError(Resolve("int8,axis=2", {4, 100}), code,
              "axis 2 is out of range for shape [4, 100]; use granularity "
              "tensor, or an axis below 2");
  ExpectError(Resolve("int8,axis=0", {}), code,
              "axis 0 is out of range for shape []; use granularity tensor");
}

}  // namespace
}  // namespace monoquant
