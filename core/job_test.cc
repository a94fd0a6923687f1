#include "core/job.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/nonfinite_search.h"
#include "core/quantize_tensor.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::EveryTensor;
using testing::ExpectError;
using testing::FinishedJob;
using testing::MemoryReader;
using testing::RunPlan;
using testing::Values;

constexpr uint64_t kSmallChunk = 64 << 10;

size_t Count(const Shape& shape) {
  return static_cast<size_t>(NumElements(shape).value());
}

// A job writes what QuantizeTensor gives for the whole tensor at once.
void ExpectSameAsWhole(const MemoryReader& reader,
                       const FinishedJob& finished) {
  for (const TensorPlan& tensor : finished.plan.tensors) {
    if (tensor.action != Action::kQuantize) continue;
    const TensorInfo& info = reader.index().tensors[tensor.input];
    std::vector<float> values(Count(info.shape));
    ToFloat(info.dtype, reader.bytes(tensor.input).data(),
            absl::MakeSpan(values));
    const QuantizedValues whole =
        QuantizeTensor(values, info.shape, tensor.scheme).value();
    ASSERT_TRUE(finished.output->bytes(tensor.output) == whole.codes);
    if (!HasScales(tensor.scheme.format)) continue;
    const std::vector<uint8_t>& scale = finished.output->bytes(tensor.scale);
    const DType scale_dtype = tensor.scheme.scale_dtype;
    ASSERT_EQ(finished.plan.manifest.tensors[tensor.scale].dtype, scale_dtype);
    ASSERT_EQ(scale.size(), whole.scales.size() * FloatBytes(scale_dtype));
    std::vector<float> scales(whole.scales.size());
    ToFloat(scale_dtype, scale.data(), absl::MakeSpan(scales));
    ASSERT_EQ(scales, whole.scales);
    if (HasGlobalScale(tensor.scheme)) {
      float global_scale;
      ASSERT_EQ(finished.output->bytes(tensor.global_scale).size(),
                sizeof(global_scale));
      std::memcpy(&global_scale,
                  finished.output->bytes(tensor.global_scale).data(),
                  sizeof(global_scale));
      ASSERT_EQ(global_scale, whole.global_scale);
    }
    if (!HasZeroPoints(tensor.scheme.format)) {
      ASSERT_EQ(tensor.zero_point, kNoTensor);
      continue;
    }
    const std::vector<uint8_t>& zero =
        finished.output->bytes(tensor.zero_point);
    for (size_t i = 0; i < zero.size(); ++i) {
      ASSERT_EQ(zero[i], static_cast<uint8_t>(whole.zero_points[i]));
    }
  }
}

const char* const kSchemes[] = {"int8",
                                "int8,asymmetric",
                                "int8,tensor",
                                "int8,axis=0",
                                "int8,tensor,asymmetric",
                                "uint8",
                                "int8,group=32",
                                "uint8,tensor,asymmetric",
                                "int4",
                                "int4,tensor",
                                "int4,asymmetric",
                                "int4,axis=0,asymmetric",
                                "uint4,group=32,asymmetric",
                                "int4,group=32,convention=compressed-tensors",
                                "int4,group=1",
                                "int8,axis=1",
                                "int4,axis=1,asymmetric",
                                "fp8_e4m3",
                                "fp8_e4m3,tensor",
                                "fp8_e4m3,axis=1",
                                "fp8_e4m3,group=32",
                                "fp8_e4m3,block",
                                "int8,block=32,asymmetric",
                                "int4,block=7",
                                "int4,asymmetric,scale_dtype=f16",
                                "int8,tensor,scale_dtype=bf16",
                                "fp8_e4m3,axis=0,scale_dtype=bf16",
                                "fp8_e5m2",
                                "fp8_e5m2,tensor,scale_dtype=e8m0",
                                "fp8_e4m3,group=32,scale_dtype=e8m0",
                                "nf4",
                                "nf4,tensor",
                                "nf4,axis=1,scale_dtype=bf16",
                                "fp4,group=1",
                                "fp4,axis=0",
                                "llm_int8",
                                "llm_int8,scale_dtype=f16",
                                "fp4_e2m1",
                                "fp4_e2m1,axis=1",
                                "fp4_e2m1,scale_dtype=e8m0",
                                "fp4_e2m1,group=3,scale_dtype=e4m3",
                                "fp4_e2m1,group=32,scale_dtype=e4m3",
                                "fp16",
                                "bf16"};

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
        if (HasRowScales(scheme.format) && shape.size() < 2) continue;
        if (HasScales(scheme.format)) {
          const int64_t row =
              static_cast<int64_t>(Count(shape)) /
              (shape.size() < 2 || shape[0] == 0 ? 1 : shape[0]);
          if (scheme.granularity == Granularity::kAxis &&
              scheme.axis >= static_cast<int>(shape.size())) {
            continue;
          }
          if (scheme.granularity == Granularity::kGroup &&
              scheme.group_size > 1 && row % scheme.group_size != 0) {
            continue;
          }
        }
        reader.Add(
            absl::StrCat(ShapeToString(shape), reader.index().tensors.size()),
            shape, testing::Make(Values::kRandom, Count(shape)), dtype);
      }
      SCOPED_TRACE(absl::StrCat(spec, " ", DTypeName(dtype)));
      const auto finished =
          RunPlan(reader, *MakePlan(reader.index(), EveryTensor(spec)));
      ASSERT_TRUE(finished.ok()) << finished.status();
      ExpectSameAsWhole(reader, *finished);
    }
  }
}

// Tensors that are cut in every way there is: between rows, between groups,
// within long rows; in one trip and in two. The same bytes as in one piece.
TEST(JobTest, AnyChunkSizeGivesTheSameBytes) {
  const Shape shapes[] = {
      {70, 1024},    // many rows a chunk
      {3, 40000},    // a row is longer than a chunk
      {5, 32001},    // and odd
      {100001},      // one row, odd
      {400, 27, 9},  // short odd rows
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
        if (scheme.granularity == Granularity::kGroup &&
            scheme.group_size > 1 && row % scheme.group_size != 0) {
          continue;
        }
        if (HasRowScales(scheme.format) && shape.size() < 2) continue;
        if (scheme.granularity == Granularity::kAxis &&
            scheme.axis >= static_cast<int>(shape.size())) {
          continue;
        }
        reader.Add(ShapeToString(shape), shape,
                   testing::Make(Values::kRandom, Count(shape)), dtype);
      }
      SCOPED_TRACE(absl::StrCat(spec, " ", DTypeName(dtype)));
      const Plan plan = *MakePlan(reader.index(), EveryTensor(spec));
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
          EXPECT_NEAR(a.Mse(), b.Mse(), 1e-6 * b.Mse());
        }
      }
    }
  }
}

// So do codes that do not lie row by row, of which a piece has parts of many
// lines; a piece of eight rows may be larger than a chunk.
TEST(JobTest, AnyChunkSizeGivesTheSameLines) {
  for (QuantStorage storage : {QuantStorage::kGptq, QuantStorage::kAwq}) {
    for (const char* spec :
         {"int4", "uint4,axis=0,asymmetric", "int4,group=24,asymmetric"}) {
      MemoryReader reader;
      for (const Shape& shape :
           {Shape{96, 1008}, Shape{32, 40008}, Shape{4000, 24}}) {
        reader.Add(ShapeToString(shape) + ".weight", shape,
                   testing::Make(Values::kRandom, Count(shape)));
      }
      SCOPED_TRACE(absl::StrCat(StorageName(storage), " ", spec));
      PlanOptions options;
      options.storage = storage;
      const Plan plan = *MakePlan(reader.index(), EveryTensor(spec), options);
      const auto large = RunPlan(reader, plan, uint64_t{64} << 20);
      ASSERT_TRUE(large.ok()) << large.status();
      for (uint64_t chunk : {kSmallChunk, uint64_t{1} << 20}) {
        const auto small = RunPlan(reader, plan, chunk);
        ASSERT_TRUE(small.ok()) << small.status();
        ASSERT_TRUE(small->output->all() == large->output->all()) << chunk;
      }
      ASSERT_EQ(large->results.size(), 3u);
      for (const TensorResult& result : large->results) {
        EXPECT_GT(result.error.SqnrDb(), 10);
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

TEST(JobTest, Phases) {
  MemoryReader reader;
  reader.Add("w", {3, 40000}, testing::Make(Values::kRandom, 120000));
  JobOptions options;
  options.chunk_bytes = kSmallChunk;
  const Plan plan = *MakePlan(reader.index(), EveryTensor("int8,tensor"));
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

// Weights that engines put together have one global scale, that of the largest
// of them, wherever it is; all are read once before any is written.
TEST(JobTest, SharedGlobalScales) {
  MemoryReader reader;
  std::vector<float> small(3 * 40000, 0.25f);
  std::vector<float> large = small;
  large.back() = -2;
  reader.Add("a.q_proj.weight", {3, 40000}, small);
  reader.Add("a.k_proj.weight", {3, 40000}, large);
  reader.Add("a.o_proj.weight", {3, 40000}, small);
  const Plan plan = *MakePlan(reader.index(), EveryTensor("nvfp4"));
  for (uint64_t chunk : {kSmallChunk, uint64_t{8} << 20}) {
    const auto finished = RunPlan(reader, plan, chunk);
    ASSERT_TRUE(finished.ok()) << finished.status();
    std::vector<float> global_scales;
    for (const TensorPlan& tensor : plan.tensors) {
      ToFloat(DType::kF32, finished->output->bytes(tensor.global_scale).data(),
              absl::MakeSpan(&global_scales.emplace_back(), 1));
    }
    EXPECT_EQ(global_scales, (std::vector<float>{1344, 1344, 10752}));
    // Scales are as much smaller: 0.25 / 6 * 1344 = 56, and 448.
    EXPECT_EQ(finished->output->bytes(plan.tensors[0].scale)[0], 0x66);
    EXPECT_EQ(finished->output->bytes(plan.tensors[2].scale)[0], 0x7e);
  }
  Plan other = plan;
  other.tensors[1].scale_leader = kNoTensor;
  ExpectError(RunPlan(reader, other), absl::StatusCode::kInvalidArgument,
              "the plan was not made from this checkpoint");
}

// Two tensors of one piece each.
MemoryReader TwoTensors() {
  MemoryReader reader;
  for (const char* name : {"ok", "a.b"}) {
    reader.Add(name, {40, 1000}, testing::Make(Values::kRandom, 40000));
  }
  return reader;
}

TEST(JobTest, ErrorsAreSticky) {
  MemoryReader reader = TwoTensors();
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
  const MemoryReader reader = TwoTensors();
  int calls = 0;
  const Emit full = [&](size_t, uint64_t, absl::Span<const uint8_t>, uint32_t) {
    return ++calls < 3 ? absl::OkStatus()
                       : absl::ResourceExhaustedError("disk full");
  };
  auto job = *Job::Create(&reader, *MakePlan(reader.index(), Recipe()), full);
  ExpectError(RunToEnd(*job), absl::StatusCode::kResourceExhausted,
              "disk full");
}

TEST(JobTest, ErrorsAreMeasuredOnRequest) {
  const MemoryReader reader = TwoTensors();
  for (const char* spec : {"int8", "int8,tensor", "bf16"}) {
    const Plan plan = *MakePlan(reader.index(), EveryTensor(spec));
    std::vector<std::vector<uint8_t>> bytes;
    for (bool measure : {true, false}) {
      CollectedOutput output(plan.manifest);
      JobOptions options;
      options.measure_errors = measure;
      const auto job = *Job::Create(&reader, plan, output.emit(), options);
      ASSERT_TRUE(RunToEnd(*job).ok());
      const std::vector<TensorResult> results = *job->Results();
      ASSERT_EQ(results.size(), 2u);
      for (const TensorResult& result : results) {
        EXPECT_EQ(result.error.count() > 0, measure);
      }
      if (measure) bytes = output.all();
      EXPECT_TRUE(output.all() == bytes);
    }
  }
}

TEST(JobTest, Create) {
  const MemoryReader reader = TwoTensors();
  const Plan plan = *MakePlan(reader.index(), Recipe());
  const Emit emit = [](size_t, uint64_t, absl::Span<const uint8_t>, uint32_t) {
    return absl::OkStatus();
  };
  for (uint64_t chunk :
       {uint64_t{0}, kSmallChunk - 1, (uint64_t{1} << 30) + 1}) {
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
