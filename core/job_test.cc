#include "core/job.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/synthetic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::ExpectError;
using testing::MemoryReader;
using testing::Values;

constexpr uint64_t kSmallChunk = 64 << 10;
constexpr float kInf = std::numeric_limits<float>::infinity();

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

Recipe OneRule(const std::string& spec, Nonfinite nonfinite = {}) {
  Recipe recipe;
  recipe.rules.push_back({"*", *ParseSchemeSpec(spec)});
  recipe.nonfinite = nonfinite;
  return recipe;
}

struct Finished {
  Plan plan;
  std::unique_ptr<CollectedOutput> output;
  std::vector<TensorResult> results;
};

absl::StatusOr<Finished> RunPlan(const MemoryReader& reader, Plan plan,
                             uint64_t chunk_bytes = 8 << 20) {
  Finished finished;
  finished.plan = plan;
  finished.output = std::make_unique<CollectedOutput>(plan.manifest);
  JobOptions options;
  options.chunk_bytes = chunk_bytes;
  auto job = Job::Create(&reader, std::move(plan), finished.output->emit(),
                         options);
  if (!job.ok()) return job.status();
  if (absl::Status status = RunToEnd(**job); !status.ok()) return status;
  if (absl::Status status = finished.output->Complete(); !status.ok()) {
    return status;
  }
  EXPECT_EQ((*job)->bytes_done(), (*job)->bytes_total());
  finished.results = (*job)->Results().value();
  return finished;
}

// A job writes what QuantizeTensor gives for the whole tensor at once.
void ExpectSameAsWhole(const MemoryReader& reader, const Finished& finished) {
  for (const TensorPlan& tensor : finished.plan.tensors) {
    if (tensor.action != Action::kQuantize) continue;
    const TensorInfo& info = reader.index().tensors[tensor.input];
    std::vector<float> values(Count(info.shape));
    ToFloat(info.dtype, reader.bytes(tensor.input).data(),
            absl::MakeSpan(values));
    const QuantizedValues whole =
        QuantizeTensor(values, info.shape, tensor.scheme).value();
    ASSERT_TRUE(finished.output->bytes(tensor.output) == whole.codes);
    if (!IsInteger(tensor.scheme.format)) continue;
    const std::vector<uint8_t>& scale = finished.output->bytes(tensor.scale);
    ASSERT_EQ(scale.size(), whole.scales.size() * 4);
    ASSERT_EQ(std::memcmp(scale.data(), whole.scales.data(), scale.size()), 0);
    const std::vector<uint8_t>& zero = finished.output->bytes(tensor.zero_point);
    for (size_t i = 0; i < zero.size(); ++i) {
      ASSERT_EQ(zero[i], static_cast<uint8_t>(whole.zero_points[i]));
    }
  }
}

const char* const kSchemes[] = {
    "int8",        "int8,asymmetric",       "int8,tensor",
    "int8,axis=0", "int8,tensor,asymmetric", "uint8",
    "int8,group=32", "uint8,tensor,asymmetric", "int4",
    "int4,tensor", "int4,asymmetric",       "int4,axis=0,asymmetric",
    "uint4,group=32,asymmetric",
    "int4,group=32,convention=compressed-tensors",
    "int4,group=1", "int8,axis=1", "int4,axis=1,asymmetric", "fp16", "bf16"};

// Small and awkward shapes, every scheme that fits, every float type.
TEST(JobTest, AwkwardShapes) {
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32, DType::kF64}) {
    for (const char* spec : kSchemes) {
      MemoryReader reader;
      for (const Shape& shape :
           {Shape{1}, Shape{7}, Shape{}, Shape{3, 5}, Shape{2, 3, 4, 5},
            Shape{5, 96}, Shape{9, 27}, Shape{0}, Shape{0, 5}, Shape{5, 0},
            Shape{600, 1}, Shape{1, 1, 33}}) {
        const SchemeSpec scheme = **ParseSchemeSpec(spec);
        if (IsInteger(scheme.format)) {
          const int64_t row = static_cast<int64_t>(Count(shape)) /
                              (shape.size() < 2 || shape[0] == 0 ? 1 : shape[0]);
          if (scheme.granularity == Granularity::kAxis &&
              scheme.axis >= static_cast<int>(shape.size())) {
            continue;
          }
          if (scheme.group_size > 1 && row % scheme.group_size != 0) continue;
        }
        reader.Add(absl::StrCat(ShapeToString(shape), reader.index().tensors.size()),
                   shape, testing::Make(Values::kRandom, Count(shape)), dtype);
      }
      SCOPED_TRACE(absl::StrCat(spec, " ", DTypeName(dtype)));
      const auto finished =
          RunPlan(reader, *MakePlan(reader.index(), OneRule(spec)));
      ASSERT_TRUE(finished.ok()) << finished.status();
      ExpectSameAsWhole(reader, *finished);
    }
  }
}

// Tensors that are cut in every way there is: between rows, between groups,
// within long rows; in one trip and in two. The same bytes as in one piece.
TEST(JobTest, AnyChunkSizeGivesTheSameBytes) {
  const Shape shapes[] = {
      {70, 1024},     // many rows a chunk
      {3, 40000},     // a row is longer than a chunk
      {5, 32001},     // and odd
      {100001},       // one row, odd
      {400, 27, 9},   // short odd rows
      {2, 60, 512},
  };
  for (DType dtype : {DType::kF16, DType::kF32, DType::kF64}) {
    for (const char* spec : kSchemes) {
      MemoryReader reader;
      const SchemeSpec scheme = **ParseSchemeSpec(spec);
      for (const Shape& shape : shapes) {
        const int64_t row = shape.size() == 1
                                ? shape[0]
                                : static_cast<int64_t>(Count(shape)) / shape[0];
        if (scheme.group_size > 1 && row % scheme.group_size != 0) continue;
        if (scheme.granularity == Granularity::kAxis &&
            scheme.axis >= static_cast<int>(shape.size())) {
          continue;
        }
        reader.Add(ShapeToString(shape), shape,
                   testing::Make(Values::kRandom, Count(shape)), dtype);
      }
      SCOPED_TRACE(absl::StrCat(spec, " ", DTypeName(dtype)));
      const Plan plan = *MakePlan(reader.index(), OneRule(spec));
      const auto large = RunPlan(reader, plan);
      ASSERT_TRUE(large.ok()) << large.status();
      ExpectSameAsWhole(reader, *large);
      for (uint64_t chunk : {kSmallChunk, uint64_t{100003}}) {
        const auto small = RunPlan(reader, plan, chunk);
        ASSERT_TRUE(small.ok()) << small.status();
        ASSERT_TRUE(small->output->all() == large->output->all()) << chunk;
        ASSERT_EQ(small->results.size(), large->results.size());
        for (size_t i = 0; i < small->results.size(); ++i) {
          const ErrorStats& a = small->results[i].error;
          const ErrorStats& b = large->results[i].error;
          EXPECT_EQ(a.count(), b.count());
          EXPECT_EQ(a.MaxAbsError(), b.MaxAbsError());
          EXPECT_NEAR(a.Mse(), b.Mse(), 1e-12 * b.Mse());
        }
      }
    }
  }
}

TEST(JobTest, ReadsNoMoreThanAChunk) {
  MemoryReader reader;
  reader.Add("w", {3, 40000}, testing::Make(Values::kRandom, 120000));
  reader.Add("t", {3, 40000}, testing::Make(Values::kRandom, 120000));
  reader.AddBytes("copy", DType::kI64, {50000}, std::vector<uint8_t>(400000));
  Recipe recipe;
  recipe.rules.push_back(*ParseRule("t=int8,tensor"));
  const auto finished =
      RunPlan(reader, *MakePlan(reader.index(), recipe), kSmallChunk);
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_LE(reader.largest_read(), kSmallChunk);
  // Two trips for two of them, since neither fits a chunk; one for the copy.
  EXPECT_EQ(reader.bytes_read(), 2u * 480000 + 2 * 480000 + 400000);
}

// Whatever the type, copies are byte for byte; ties are not written.
TEST(JobTest, CopiesAndTies) {
  MemoryReader reader;
  testing::Random random(1);
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    const int64_t elements = 80000;
    std::vector<uint8_t> bytes(
        static_cast<size_t>(ByteSize(dtype, {elements}).value()));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.Bits());
    reader.AddBytes(DTypeName(dtype), dtype, {elements}, std::move(bytes));
  }
  reader.AddBytes("empty", DType::kI32, {0, 3}, {});
  reader.AddTie("tie", 3);
  const auto finished =
      RunPlan(reader, *MakeCopyPlan(reader.index()), kSmallChunk);
  ASSERT_TRUE(finished.ok()) << finished.status();
  for (size_t i = 0; i < reader.index().tensors.size(); ++i) {
    if (reader.index().tensors[i].tie != kNoTie) continue;
    EXPECT_TRUE(finished->output->bytes(i) == reader.bytes(i)) << i;
  }
  EXPECT_TRUE(finished->results.empty());
}

TEST(JobTest, Results) {
  MemoryReader reader;
  reader.Add("a", {64, 64}, testing::Make(Values::kRandom, 4096));
  reader.Add("b", {64}, testing::Make(Values::kRandom, 64));
  reader.Add("c", {64, 64}, testing::Make(Values::kPlateau, 4096));
  const auto finished = RunPlan(reader, *MakePlan(reader.index(), Recipe()));
  ASSERT_TRUE(finished.ok());
  ASSERT_EQ(finished->results.size(), 2u);
  EXPECT_EQ(finished->results[0].input, 0u);
  EXPECT_EQ(finished->results[1].input, 2u);
  EXPECT_EQ(finished->results[0].error.count(), 4096u);
  EXPECT_GT(finished->results[0].error.SqnrDb(), 35);
  EXPECT_LT(finished->results[0].error.SqnrDb(), 60);

  // Measured against decoding what was written.
  ErrorStats expected;
  std::vector<float> values(4096);
  ToFloat(DType::kF32, reader.bytes(0).data(), absl::MakeSpan(values));
  const auto whole = QuantizeTensor(values, {64, 64}, QuantScheme());
  expected.Add(values, *DequantizeTensor(*whole, {64, 64}, QuantScheme()));
  EXPECT_DOUBLE_EQ(finished->results[0].error.Mse(), expected.Mse());
  EXPECT_EQ(finished->results[0].error.MaxAbsError(), expected.MaxAbsError());
}

// ------------------------------------------------- NaN and infinite values --

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
      for (const auto& [bad, name] : {std::pair(std::nanf(""), "NaN"),
                                      std::pair(kInf, "infinity"),
                                      std::pair(-kInf, "-infinity")}) {
        const MemoryReader reader = Damaged(bad);
        ExpectError(RunPlan(reader, *MakePlan(reader.index(), OneRule(spec)), chunk),
                    absl::StatusCode::kFailedPrecondition,
                    absl::StrCat("dir/model.test: tensor 'a.b' holds ", name,
                                 " at index [33, 17]; use --nonfinite keep"));
      }
    }
  }
}

TEST(NonfiniteTest, ZeroReplaces) {
  for (const char* spec :
       {"int8", "int8,tensor,asymmetric", "int4,axis=1", "fp16", "bf16"}) {
    for (uint64_t chunk : {kSmallChunk, uint64_t{8 << 20}}) {
      for (DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
        const MemoryReader bad = Damaged(std::nanf(""), dtype);
        const MemoryReader zero = Damaged(0, dtype);
        const auto a = RunPlan(
            bad, *MakePlan(bad.index(), OneRule(spec, Nonfinite::kZero)), chunk);
        const auto b = RunPlan(
            zero, *MakePlan(zero.index(), OneRule(spec, Nonfinite::kZero)),
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

// Integer formats: found before the plan, the tensor stays as it is. Casts
// carry the values over.
TEST(NonfiniteTest, Keep) {
  const MemoryReader reader = Damaged(-kInf);
  const Recipe recipe = OneRule("int8", Nonfinite::kKeep);
  const Plan plan = *MakePlan(reader.index(), recipe);
  JobOptions options;
  options.chunk_bytes = kSmallChunk;
  const auto found = FindNonfinite(reader, plan, options);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ((*found)[0].first, 1u);
  EXPECT_EQ((*found)[0].second, "-infinity at index [33, 17]");
  const auto finished =
      RunPlan(reader, *MakePlan(reader.index(), recipe, {*found}));
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->results.size(), 1u);
  // Without that, there is no way to keep it.
  ExpectError(RunPlan(reader, plan), absl::StatusCode::kFailedPrecondition,
              "which no integer format can keep");

  const auto cast = RunPlan(
      reader, *MakePlan(reader.index(), OneRule("fp16", Nonfinite::kKeep)));
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
      RunPlan(reader, *MakePlan(reader.index(), OneRule("fp16"))),
      absl::StatusCode::kFailedPrecondition,
      "tensor 'a.b' holds -65520 at index [33, 17], beyond the range of fp16; "
      "use bf16, which has the range of float32, or --nonfinite keep");
  EXPECT_FALSE(
      RunPlan(reader, *MakePlan(reader.index(), OneRule("fp16", Nonfinite::kZero)))
          .ok());
  EXPECT_TRUE(
      RunPlan(reader, *MakePlan(reader.index(), OneRule("fp16", Nonfinite::kKeep)))
          .ok());
  EXPECT_TRUE(RunPlan(reader, *MakePlan(reader.index(), OneRule("bf16"))).ok());

  const MemoryReader huge = Damaged(std::numeric_limits<float>::max());
  ExpectError(RunPlan(huge, *MakePlan(huge.index(), OneRule("bf16"))),
              absl::StatusCode::kFailedPrecondition, "beyond the range of bf16");

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

// ----------------------------------------------------------------- running --

TEST(JobTest, Phases) {
  MemoryReader reader;
  reader.Add("w", {3, 40000}, testing::Make(Values::kRandom, 120000));
  JobOptions options;
  options.chunk_bytes = kSmallChunk;
  const Plan plan = *MakePlan(reader.index(), OneRule("int8,tensor"));
  CollectedOutput output(plan.manifest);
  auto job = *Job::Create(&reader, plan, output.emit(), options);
  EXPECT_EQ(job->num_phases(), 2);
  EXPECT_EQ(job->bytes_total(), 2 * 480000u);
  EXPECT_EQ(job->bytes_done(), 0u);
  Job::Worker worker;
  ExpectError(job->Step(1, worker), absl::StatusCode::kFailedPrecondition,
              "phase 1 was begun before phase 0 had ended");
  ExpectError(job->Step(2, worker), absl::StatusCode::kInvalidArgument,
              "a job of 2 phases has no phase 2");
  ExpectError(job->Results(), absl::StatusCode::kFailedPrecondition,
              "after its last step only");
  uint64_t done = 0;
  for (int phase = 0; phase < 2; ++phase) {
    while (*job->Step(phase, worker)) {
      EXPECT_GT(job->bytes_done(), done);
      EXPECT_LE(job->bytes_done() - done, kSmallChunk);
      done = job->bytes_done();
    }
    EXPECT_FALSE(*job->Step(phase, worker));
  }
  EXPECT_EQ(done, job->bytes_total());
  EXPECT_TRUE(output.Complete().ok());

  // One phase where all fits.
  job = *Job::Create(&reader, plan, output.emit());
  EXPECT_EQ(job->num_phases(), 1);
}

TEST(JobTest, ErrorsAreSticky) {
  MemoryReader reader = Damaged(0);
  reader.Break(0);
  const Plan plan = *MakePlan(reader.index(), Recipe());
  CollectedOutput output(plan.manifest);
  auto job = *Job::Create(&reader, plan, output.emit());
  Job::Worker worker;
  for (int i = 0; i < 3; ++i) {
    ExpectError(job->Step(0, worker), absl::StatusCode::kDataLoss,
                "tensor 'ok' is broken");
  }
  EXPECT_FALSE(job->Results().ok());
}

TEST(JobTest, ErrorsOfTheSinkArePassedOn) {
  const MemoryReader reader = Damaged(0);
  int calls = 0;
  const Emit full = [&](size_t, uint64_t, absl::Span<const uint8_t>) {
    return ++calls < 3 ? absl::OkStatus()
                       : absl::ResourceExhaustedError("disk full");
  };
  auto job = *Job::Create(&reader, *MakePlan(reader.index(), Recipe()), full);
  ExpectError(RunToEnd(*job), absl::StatusCode::kResourceExhausted,
              "disk full");
}

TEST(JobTest, Create) {
  const MemoryReader reader = Damaged(0);
  const Plan plan = *MakePlan(reader.index(), Recipe());
  const Emit emit = [](size_t, uint64_t, absl::Span<const uint8_t>) {
    return absl::OkStatus();
  };
  for (uint64_t chunk : {uint64_t{0}, kSmallChunk - 1, (uint64_t{1} << 30) + 1}) {
    JobOptions options;
    options.chunk_bytes = chunk;
    ExpectError(Job::Create(&reader, plan, emit, options),
                absl::StatusCode::kInvalidArgument, "chunks of ");
    ExpectError(FindNonfinite(reader, plan, options),
                absl::StatusCode::kInvalidArgument, "chunks of ");
  }
  MemoryReader other;
  other.Add("x", {40, 1000}, std::vector<float>(40000));
  ExpectError(Job::Create(&other, plan, emit),
              absl::StatusCode::kInvalidArgument,
              "the plan was not made from this checkpoint");
  // Nothing to do is fine.
  const MemoryReader empty;
  auto job = *Job::Create(&empty, *MakePlan(empty.index(), Recipe()), emit);
  EXPECT_TRUE(RunToEnd(*job).ok());
  EXPECT_TRUE(job->Results()->empty());
}

}  // namespace
}  // namespace monoquant
