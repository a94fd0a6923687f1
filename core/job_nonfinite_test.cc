// What jobs do with NaN, infinity and values that overflow.

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/job.h"
#include "core/nonfinite_search.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::EveryTensor;
using testing::ExpectError;
using testing::MemoryReader;
using testing::RunPlan;
using testing::Values;

constexpr uint64_t kSmallChunk = 64 << 10;
constexpr float kInf = std::numeric_limits<float>::infinity();

MemoryReader Damaged(float bad, DType dtype = DType::kF32) {
  std::vector<float> values = testing::Make(Values::kRandom, 40 * 1000);
  values[33 * 1000 + 17] = bad;
  values[39 * 1000 + 999] = bad;
  MemoryReader reader;
  reader.Add("ok", {40, 1000}, testing::Make(Values::kRandom, 40000));
  reader.Add("a.b", {40, 1000}, values, dtype);
  return reader;
}

TEST(NonfiniteTest, IsAnErrorThatNamesTheIndex) {
  for (const char* spec : {"int8", "int8,tensor", "int4,axis=1", "fp16"}) {
    for (uint64_t chunk : {kSmallChunk, uint64_t{8 << 20}}) {
      for (const auto& [bad, name] :
           {std::pair(std::nanf(""), "NaN"), std::pair(kInf, "infinity"),
            std::pair(-kInf, "-infinity")}) {
        const MemoryReader reader = Damaged(bad);
        ExpectError(
            RunPlan(reader, *MakePlan(reader.index(), EveryTensor(spec)),
                    chunk),
            absl::StatusCode::kFailedPrecondition,
            absl::StrCat("dir/model.test: tensor 'a.b' holds ", name,
                         " at index [33, 17]; use --nonfinite keep"));
      }
    }
  }
}

TEST(NonfiniteTest, ZeroReplaces) {
  for (const char* spec : {"int8", "int8,tensor,asymmetric", "int4,axis=1",
                           "fp8_e4m3", "nf4", "llm_int8", "fp16", "bf16"}) {
    for (uint64_t chunk : {kSmallChunk, uint64_t{8 << 20}}) {
      for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        const MemoryReader bad = Damaged(std::nanf(""), dtype);
        const MemoryReader zero = Damaged(0, dtype);
        const auto a = RunPlan(
            bad, *MakePlan(bad.index(), EveryTensor(spec, Nonfinite::kZero)),
            chunk);
        const auto b = RunPlan(
            zero, *MakePlan(zero.index(), EveryTensor(spec, Nonfinite::kZero)),
            chunk);
        ASSERT_TRUE(a.ok()) << a.status();
        ASSERT_TRUE(b.ok()) << b.status();
        // Tensors that have the format already are copied as they are.
        if (a->results.size() < 2) continue;
        EXPECT_TRUE(a->output->all() == b->output->all()) << spec;
        EXPECT_EQ(a->results[0].nonfinite, 0u);
        EXPECT_EQ(a->results[1].nonfinite, 2u);
        EXPECT_EQ(b->results[1].nonfinite, 0u);
      }
    }
  }
}

// Formats with scales: found before the plan, the tensor stays as it is. Casts
// carry the values over.
TEST(NonfiniteTest, Keep) {
  const MemoryReader reader = Damaged(-kInf);
  const Recipe recipe = EveryTensor("int8", Nonfinite::kKeep);
  const Plan plan = *MakePlan(reader.index(), recipe);
  JobOptions options;
  options.chunk_bytes = kSmallChunk;
  const auto found = FindNonfinite(reader, plan, options);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].first, 1u);
  EXPECT_EQ((*found)[0].second, "-infinity at index [33, 17]");
  const auto finished =
      RunPlan(reader, *MakePlan(reader.index(), recipe, {.keep = *found}));
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->results.size(), 1u);
  // Without that, there is no way to keep it.
  ExpectError(RunPlan(reader, plan), absl::StatusCode::kFailedPrecondition,
              "which no format with scales can keep");

  const auto cast = RunPlan(
      reader, *MakePlan(reader.index(), EveryTensor("fp16", Nonfinite::kKeep)));
  ASSERT_TRUE(cast.ok()) << cast.status();
  EXPECT_EQ(cast->results[1].nonfinite, 2u);
  EXPECT_EQ(cast->results[1].error.nonfinite(), 2u);
  const size_t at = 2 * (33 * 1000 + 17);
  EXPECT_EQ(cast->output->bytes(1)[at], 0x00);
  EXPECT_EQ(cast->output->bytes(1)[at + 1], 0xfc);
}

TEST(NonfiniteTest, FiniteValuesThatOverflow) {
  // 65520 rounds to infinity in fp16 and is nothing special in bf16.
  const MemoryReader reader = Damaged(-65520);
  ExpectError(
      RunPlan(reader, *MakePlan(reader.index(), EveryTensor("fp16"))),
      absl::StatusCode::kFailedPrecondition,
      "tensor 'a.b' holds -65520 at index [33, 17], beyond the range of fp16; "
      "use bf16, which has the range of float32, or --nonfinite keep");
  EXPECT_FALSE(RunPlan(reader, *MakePlan(reader.index(),
                                         EveryTensor("fp16", Nonfinite::kZero)))
                   .ok());
  EXPECT_TRUE(RunPlan(reader, *MakePlan(reader.index(),
                                        EveryTensor("fp16", Nonfinite::kKeep)))
                  .ok());
  EXPECT_TRUE(
      RunPlan(reader, *MakePlan(reader.index(), EveryTensor("bf16"))).ok());

  const MemoryReader huge = Damaged(std::numeric_limits<float>::max());
  ExpectError(RunPlan(huge, *MakePlan(huge.index(), EveryTensor("bf16"))),
              absl::StatusCode::kFailedPrecondition,
              "beyond the range of bf16");

  // Doubles that no float holds.
  MemoryReader wide;
  std::vector<double> doubles(1000, 1.0);
  doubles[999] = 1e300;
  std::vector<uint8_t> bytes(8000);
  std::memcpy(bytes.data(), doubles.data(), bytes.size());
  wide.AddBytes("w", DType::kF64, {2, 500}, bytes);
  const Plan plan = *MakePlan(wide.index(), Recipe());
  ExpectError(RunPlan(wide, plan), absl::StatusCode::kFailedPrecondition,
              "holds 1e+300 at index [1, 499], beyond the range of float32; ");
  EXPECT_EQ(FindNonfinite(wide, plan)->at(0).second,
            "1e+300 at index [1, 499], beyond the range of float32");
}

}  // namespace
}  // namespace monoquant
