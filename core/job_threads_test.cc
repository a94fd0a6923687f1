// Jobs with several workers; native only.

#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/finished_piece.h"
#include "core/job.h"
#include "core/nonfinite_search.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "core/testing/collected_output.h"
#include "core/testing/memory_reader.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::CollectedOutput;
using testing::MemoryReader;
using testing::Values;

absl::Status RunWithThreads(Job& job, int threads) {
  for (int phase = 0; phase < job.num_phases(); ++phase) {
    std::vector<absl::Status> statuses(static_cast<size_t>(threads));
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back(
          [&job, phase, &status = statuses[static_cast<size_t>(t)]] {
            Job::Worker worker;
            while (true) {
              const absl::StatusOr<bool> more = job.Step(phase, worker);
              if (!more.ok()) status = more.status();
              if (!more.ok() || !*more) return;
            }
          });
    }
    for (std::thread& thread : running) thread.join();
    for (const absl::Status& status : statuses) {
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

MemoryReader Model(DType dtype) {
  MemoryReader reader;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "layer" + std::to_string(i);
    reader.Add(
        name + ".short", {3, 171},
        testing::Make(Values::kRandom, 513, 1 + static_cast<uint64_t>(i)),
        dtype);
    reader.Add(
        name + ".weight", {96, 640},
        testing::Make(Values::kRandom, 61440, 2 + static_cast<uint64_t>(i)),
        dtype);
  }
  reader.Add("long", {2, 100000}, testing::Make(Values::kOutlier, 200000),
             dtype);
  reader.AddTie("tied", 1);
  return reader;
}

// Every tensor by the scheme; in the storage that quantizes scales, those that
// it has a place for.
Plan PlanFor(const MemoryReader& reader, const char* spec) {
  const SchemeSpec scheme = **ParseSchemeSpec(spec);
  Recipe recipe;
  PlanOptions options;
  if (scheme.double_quant) {
    options.storage = QuantStorage::kBitsandbytes;
    recipe.defaults = scheme;
  } else {
    recipe.rules.push_back({"*", scheme});
  }
  return MakePlan(reader.index(), recipe, options).value();
}

TEST(JobThreadsTest, AnyNumberOfWorkersGivesTheSameBytes) {
  for (const char* spec :
       {"int8", "int8,tensor,asymmetric", "int4", "int4,axis=1,asymmetric",
        "uint4,axis=0,asymmetric", "fp8_e4m3,tensor", "nf4,tensor",
        "fp4_e2m1,group=1,scale_dtype=e4m3", "nf4,double_quant", "fp16"}) {
    for (DType dtype : {DType::kBF16, DType::kF32}) {
      SCOPED_TRACE(std::string(spec) + " " + std::string(DTypeName(dtype)));
      const MemoryReader reader = Model(dtype);
      const Plan plan = PlanFor(reader, spec);
      std::vector<std::vector<uint8_t>> expected;
      std::vector<TensorResult> expected_results;
      for (int threads : {1, 2, 3}) {
        for (uint64_t chunk : {uint64_t{64} << 10, uint64_t{1} << 20}) {
          CollectedOutput output(plan.manifest);
          JobOptions options;
          options.chunk_bytes = chunk;
          auto job = *Job::Create(&reader, plan, output.emit(), options);
          const absl::Status status = RunWithThreads(*job, threads);
          ASSERT_TRUE(status.ok()) << status;
          ASSERT_TRUE(output.Complete().ok()) << output.Complete();
          EXPECT_EQ(job->bytes_done(), job->bytes_total());
          if (expected.empty()) expected = output.all();
          ASSERT_TRUE(output.all() == expected) << threads << " " << chunk;
          // Statistics do not depend on who came first either.
          if (chunk != 64 << 10) continue;
          const std::vector<TensorResult> results = *job->Results();
          if (expected_results.empty()) expected_results = results;
          ASSERT_EQ(results.size(), expected_results.size());
          for (size_t i = 0; i < results.size(); ++i) {
            EXPECT_EQ(results[i].error.Mse(), expected_results[i].error.Mse());
            EXPECT_EQ(results[i].error.Cosine(),
                      expected_results[i].error.Cosine());
          }
        }
      }
    }
  }
}

// Pieces are told of by all workers, and another number of them goes on.
TEST(JobThreadsTest, AnotherNumberOfWorkersGoesOn) {
  const MemoryReader reader = Model(DType::kBF16);
  for (const char* spec :
       {"int8", "int4,axis=1,asymmetric", "nf4,double_quant"}) {
    const Plan plan = PlanFor(reader, spec);
    CollectedOutput whole(plan.manifest);
    std::mutex mutex;
    std::vector<FinishedPiece> finished;
    JobOptions options;
    options.chunk_bytes = 64 << 10;
    options.on_finished = [&](const FinishedPiece& piece) {
      const std::lock_guard<std::mutex> lock(mutex);
      finished.push_back(piece);
      return absl::OkStatus();
    };
    auto job = *Job::Create(&reader, plan, whole.emit(), options);
    ASSERT_TRUE(RunWithThreads(*job, 3).ok());
    ASSERT_GT(finished.size(), 8u);

    // As if half of it had been lost.
    finished.resize(finished.size() / 2);
    CollectedOutput output(plan.manifest);
    const Emit emit = output.emit();
    for (const FinishedPiece& piece : finished) {
      for (const FinishedRange& range : piece.ranges) {
        const auto bytes = absl::MakeConstSpan(whole.bytes(range.output))
                               .subspan(range.offset, range.size);
        ASSERT_TRUE(emit(range.output, range.offset, bytes, range.crc32).ok());
      }
    }
    options.on_finished = nullptr;
    options.finished = finished;
    job = *Job::Create(&reader, plan, emit, options);
    ASSERT_TRUE(RunWithThreads(*job, 2).ok());
    ASSERT_TRUE(output.Complete().ok()) << output.Complete();
    EXPECT_TRUE(output.all() == whole.all());
  }
}

// The first value of each tensor is found, whoever comes first.
TEST(JobThreadsTest, AnyNumberOfWorkersFindsTheSameNan) {
  std::vector<float> values = testing::Make(Values::kRandom, 200000);
  for (size_t i : {70000u, 70001u, 150000u}) values[i] = std::nanf("");
  MemoryReader reader = Model(DType::kF32);
  reader.Add("bad", {2, 100000}, values);
  const Plan plan = *MakePlan(reader.index(), Recipe());
  JobOptions options;
  options.chunk_bytes = 64 << 10;
  for (size_t threads : {1, 3}) {
    const auto search = *NonfiniteSearch::Create(&reader, plan, options);
    std::vector<std::thread> running;
    for (size_t t = 0; t < threads; ++t) {
      running.emplace_back([&search] {
        NonfiniteSearch::Worker worker;
        while (search->Step(worker).value()) {
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    EXPECT_EQ(search->bytes_done(), search->bytes_total());
    const auto found = search->Found();
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].second, "NaN at index [0, 70000]");
  }
}

TEST(JobThreadsTest, AllWorkersStopAtAnError) {
  for (int round = 0; round < 20; ++round) {
    MemoryReader reader = Model(DType::kF32);
    reader.Break(8);
    const Plan plan = *MakePlan(reader.index(), Recipe());
    CollectedOutput output(plan.manifest);
    JobOptions options;
    options.chunk_bytes = 64 << 10;
    auto job = *Job::Create(&reader, plan, output.emit(), options);
    testing::ExpectError(RunWithThreads(*job, 3), absl::StatusCode::kDataLoss,
                         "tensor 'layer4.short' is broken");
    Job::Worker worker;
    EXPECT_FALSE(job->Step(job->num_phases() - 1, worker).ok());
  }
}

}  // namespace
}  // namespace monoquant
