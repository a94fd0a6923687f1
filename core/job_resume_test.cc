// A job that stops at any write is finished by another one, with the same bytes
// and the same figures as if nothing had happened.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/finished_piece.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::EveryTensor;
using testing::ExpectError;
using testing::MemoryReader;
using testing::Values;

constexpr uint64_t kChunk = 64 << 10;

// Tensors of one trip and of two, cut and whole, and one that is copied.
MemoryReader Model() {
  MemoryReader reader;
  reader.Add("rows", {40, 1024}, testing::Make(Values::kRandom, 40 * 1024));
  reader.Add("long", {2, 40000}, testing::Make(Values::kOutlier, 80000));
  reader.Add("small", {3, 5}, testing::Make(Values::kRandom, 15));
  reader.AddBytes("numbers", DType::kI64, {20000},
                  std::vector<uint8_t>(160000, 7));
  reader.AddTie("tied", 0);
  return reader;
}

Plan PlanFor(const MemoryReader& reader, const char* spec) {
  Recipe recipe;
  recipe.allow_unmatched = true;
  recipe.rules.push_back({"numbers", std::nullopt});
  for (Rule& rule : EveryTensor(spec).rules) recipe.rules.push_back(rule);
  return MakePlan(reader.index(), recipe).value();
}

// Weights whose scales are quantized, cut and whole.
MemoryReader NestedModel() {
  MemoryReader reader;
  reader.Add("a.weight", {90, 1024}, testing::Make(Values::kRandom, 90 * 1024));
  reader.Add("b.weight", {2, 64}, testing::Make(Values::kOutlier, 128));
  return reader;
}

Plan NestedPlan(const MemoryReader& reader) {
  PlanOptions options;
  options.storage = QuantStorage::kBitsandbytes;
  return MakePlan(reader.index(), EveryTensor("nf4,double_quant"), options)
      .value();
}

// The finished pieces of a run that fails at its write number `fail_at`; the
// bytes that it wrote before are in `output`.
std::vector<FinishedPiece> RunUntil(const MemoryReader& reader,
                                    const Plan& plan, uint64_t fail_at,
                                    CollectedOutput& output, bool* failed) {
  std::vector<FinishedPiece> finished;
  uint64_t writes = 0;
  const Emit write = output.emit();
  JobOptions options;
  options.chunk_bytes = kChunk;
  options.on_finished = [&](const FinishedPiece& piece) {
    const std::string record = EncodeFinishedPiece(piece);
    finished.push_back(DecodeFinishedPiece(record).value());
    return absl::OkStatus();
  };
  const Emit emit = [&](size_t tensor, uint64_t offset,
                        absl::Span<const uint8_t> bytes, uint32_t crc) {
    if (writes++ == fail_at) return absl::ResourceExhaustedError("disk full");
    return write(tensor, offset, bytes, crc);
  };
  const auto job = Job::Create(&reader, plan, emit, options).value();
  const absl::Status status = RunToEnd(*job);
  *failed = !status.ok();
  return finished;
}

struct Ending {
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<TensorResult> results;
  uint64_t begun_at = 0;
};

absl::StatusOr<Ending> GoOn(const MemoryReader& reader, const Plan& plan,
                            const std::vector<FinishedPiece>& finished,
                            const CollectedOutput& before) {
  CollectedOutput output(plan.manifest);
  const Emit emit = output.emit();
  for (const FinishedPiece& piece : finished) {
    for (const FinishedRange& range : piece.ranges) {
      const absl::Status status =
          emit(range.output, range.offset,
               absl::MakeConstSpan(before.bytes(range.output))
                   .subspan(range.offset, range.size),
               range.crc32);
      if (!status.ok()) return status;
    }
  }
  JobOptions options;
  options.chunk_bytes = kChunk;
  options.finished = finished;
  auto job = Job::Create(&reader, plan, emit, options);
  if (!job.ok()) return job.status();
  Ending ending;
  ending.begun_at = (*job)->bytes_done();
  const absl::Status status = RunToEnd(**job);
  if (!status.ok()) return status;
  EXPECT_EQ((*job)->bytes_done(), (*job)->bytes_total());
  EXPECT_TRUE(output.Complete().ok()) << output.Complete();
  ending.bytes = output.all();
  ending.results = (*job)->Results().value();
  return ending;
}

TEST(JobResumeTest, AfterAFailureAtAnyWrite) {
  const MemoryReader model = Model();
  const MemoryReader nested = NestedModel();
  for (const std::string spec :
       {"int8", "int8,tensor,asymmetric", "int4", "int8,axis=1", "bf16",
        "fp4_e2m1,group=1,scale_dtype=e4m3", "nested"}) {
    SCOPED_TRACE(spec);
    const MemoryReader& reader = spec == "nested" ? nested : model;
    const Plan plan =
        spec == "nested" ? NestedPlan(reader) : PlanFor(reader, spec.c_str());
    bool failed = true;
    CollectedOutput whole(plan.manifest);
    RunUntil(reader, plan, ~uint64_t{0}, whole, &failed);
    ASSERT_FALSE(failed);
    ASSERT_TRUE(whole.Complete().ok());
    const Ending expected = GoOn(reader, plan, {}, whole).value();
    ASSERT_TRUE(expected.bytes == whole.all());
    EXPECT_EQ(expected.begun_at, 0u);

    uint64_t most = 0;
    failed = true;
    for (uint64_t fail_at = 0; failed; ++fail_at) {
      SCOPED_TRACE(fail_at);
      CollectedOutput before(plan.manifest);
      const std::vector<FinishedPiece> finished =
          RunUntil(reader, plan, fail_at, before, &failed);
      const auto ending = GoOn(reader, plan, finished, before);
      ASSERT_TRUE(ending.ok()) << ending.status();
      ASSERT_TRUE(ending->bytes == expected.bytes);
      EXPECT_GE(ending->begun_at, most) << "less was kept";
      most = ending->begun_at;
      ASSERT_EQ(ending->results.size(), expected.results.size());
      for (size_t i = 0; i < expected.results.size(); ++i) {
        const ErrorStats& error = ending->results[i].error;
        EXPECT_EQ(error.SqnrDb(), expected.results[i].error.SqnrDb());
        EXPECT_EQ(error.count(), expected.results[i].error.count());
      }
    }
    EXPECT_GT(most, reader.index().tensors[0].byte_size)
        << "nothing was taken over";
  }
}

// Pieces may be missing anywhere, as where several threads were at work or a
// disk has lost a part.
TEST(JobResumeTest, WithAnyPieceMissing) {
  const MemoryReader model = Model();
  // Weights that share a global scale, which all of them tell.
  MemoryReader fused;
  fused.Add("m.q_proj.weight", {40, 1024},
            testing::Make(Values::kRandom, 40 * 1024));
  fused.Add("m.k_proj.weight", {80, 1024},
            testing::Make(Values::kOutlier, 80 * 1024));
  const MemoryReader nested = NestedModel();
  for (const std::string spec : {"int8", "int8,tensor", "nvfp4", "nested"}) {
    SCOPED_TRACE(spec);
    const MemoryReader& reader = spec == "nvfp4"    ? fused
                                 : spec == "nested" ? nested
                                                    : model;
    const Plan plan =
        spec == "nested" ? NestedPlan(reader) : PlanFor(reader, spec.c_str());
    bool failed = false;
    CollectedOutput whole(plan.manifest);
    const std::vector<FinishedPiece> all =
        RunUntil(reader, plan, ~uint64_t{0}, whole, &failed);
    for (size_t missing = 0; missing < all.size(); ++missing) {
      SCOPED_TRACE(missing);
      std::vector<FinishedPiece> some = all;
      some.erase(some.begin() + static_cast<int64_t>(missing));
      const auto ending = GoOn(reader, plan, some, whole);
      ASSERT_TRUE(ending.ok()) << ending.status();
      EXPECT_TRUE(ending->bytes == whole.all());
    }
  }
}

// What all shares of a job finish, together; `whole` gets their bytes, and
// refuses any that come twice.
std::vector<FinishedPiece> RunShares(const MemoryReader& reader,
                                     const Plan& plan, uint32_t count,
                                     CollectedOutput& whole) {
  std::vector<FinishedPiece> finished;
  for (uint32_t number = 0; number < count; ++number) {
    JobOptions options;
    options.chunk_bytes = kChunk;
    options.share = {number, count};
    options.on_finished = [&](const FinishedPiece& piece) {
      finished.push_back(piece);
      return absl::OkStatus();
    };
    const auto job = Job::Create(&reader, plan, whole.emit(), options).value();
    EXPECT_TRUE(RunToEnd(*job).ok());
    EXPECT_EQ(job->bytes_done(), job->bytes_total());
  }
  return finished;
}

TEST(JobShareTest, SharesAreTheWhole) {
  const MemoryReader model = Model();
  MemoryReader fused;
  fused.Add("m.q_proj.weight", {40, 1024},
            testing::Make(Values::kRandom, 40 * 1024));
  fused.Add("other.weight", {40, 1024},
            testing::Make(Values::kRandom, 40 * 1024));
  fused.Add("m.k_proj.weight", {80, 1024},
            testing::Make(Values::kOutlier, 80 * 1024));
  const MemoryReader nested = NestedModel();
  for (const std::string spec : {"int8", "int8,tensor,asymmetric",
                                 "int8,axis=1", "bf16", "nvfp4", "nested"}) {
    const MemoryReader& reader = spec == "nvfp4"    ? fused
                                 : spec == "nested" ? nested
                                                    : model;
    const Plan plan =
        spec == "nested" ? NestedPlan(reader) : PlanFor(reader, spec.c_str());
    bool failed = false;
    CollectedOutput alone(plan.manifest);
    RunUntil(reader, plan, ~uint64_t{0}, alone, &failed);
    const Ending expected = GoOn(reader, plan, {}, alone).value();
    for (const uint32_t count : {1u, 2u, 3u, 50u}) {
      SCOPED_TRACE(spec + " in " + std::to_string(count));
      CollectedOutput output(plan.manifest);
      const std::vector<FinishedPiece> finished =
          RunShares(reader, plan, count, output);
      EXPECT_TRUE(output.Complete().ok()) << output.Complete();
      EXPECT_TRUE(output.all() == alone.all());
      const Ending ending = GoOn(reader, plan, finished, output).value();
      EXPECT_TRUE(ending.bytes == alone.all());
      ASSERT_EQ(ending.results.size(), expected.results.size());
      for (size_t i = 0; i < expected.results.size(); ++i) {
        EXPECT_EQ(ending.results[i].error.SqnrDb(),
                  expected.results[i].error.SqnrDb());
      }
    }
  }
}

TEST(JobShareTest, SharesAreOfAboutTheSameSize) {
  MemoryReader reader;
  reader.Add("a", {900, 1024}, testing::Make(Values::kRandom, 900 * 1024));
  reader.Add("b", {100, 1024}, testing::Make(Values::kRandom, 100 * 1024));
  const Plan plan = PlanFor(reader, "int8");
  CollectedOutput output(plan.manifest);
  for (uint32_t number = 0; number < 4; ++number) {
    JobOptions options;
    options.chunk_bytes = kChunk;
    options.share = {number, 4};
    const auto job = Job::Create(&reader, plan, output.emit(), options).value();
    EXPECT_NEAR(static_cast<double>(job->bytes_total()), 1024e3, 2.0 * kChunk);
  }
}

TEST(JobShareTest, ThereIsNoShareBeyondTheLast) {
  JobOptions options;
  options.share = {2, 2};
  ExpectError(ValidateJobOptions(options), absl::StatusCode::kInvalidArgument,
              "there is no share 2 of 2");
  options.share = {0, 0};
  EXPECT_FALSE(ValidateJobOptions(options).ok());
}

TEST(JobResumeTest, PiecesOfAnotherPlanAreRefused) {
  const MemoryReader reader = Model();
  const Plan plan = PlanFor(reader, "int8");
  const auto create = [&](const FinishedPiece& piece, int times) {
    JobOptions options;
    options.chunk_bytes = kChunk;
    options.finished.assign(static_cast<size_t>(times), piece);
    CollectedOutput output(plan.manifest);
    return Job::Create(&reader, plan, output.emit(), options).status();
  };
  FinishedPiece piece;
  EXPECT_TRUE(create(piece, 1).ok());
  const auto refused = absl::StatusCode::kInvalidArgument;
  ExpectError(create(piece, 2), refused, "has no piece 0 to take over");
  piece.piece = 1000;
  ExpectError(create(piece, 1), refused, "has no piece 1000 to take over");
  piece.piece = FinishedPiece::kScales;
  EXPECT_EQ(create(piece, 1).code(), refused);
  piece.piece = 0;
  piece.tensor = 4;
  ExpectError(create(piece, 1), refused, "no tensor 4 with a piece");
  piece.tensor = 99;
  ExpectError(create(piece, 1), refused, "no tensor 99 with a piece");
}

TEST(FinishedPieceTest, OtherTextIsRefused) {
  FinishedPiece piece;
  piece.tensor = 3;
  piece.ranges = {{1, 2, 3, 0xffffffff}, {4, 5, 6, 7}};
  const std::string text = EncodeFinishedPiece(piece);
  EXPECT_EQ(DecodeFinishedPiece(text).value().ranges, piece.ranges);
  for (size_t size = 0; size < text.size(); ++size) {
    const bool whole_ranges = size >= 80 && (size - 80) % 32 == 0;
    EXPECT_EQ(DecodeFinishedPiece(text.substr(0, size)).ok(), whole_ranges);
  }
}

}  // namespace
}  // namespace monoquant
