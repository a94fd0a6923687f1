// Guards how tensors are paired, that pieces add up whatever the number of
// threads, and that the worst come first.

#include "cli/compare_checkpoints.h"

#include <atomic>
#include <cstring>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

using ::testing::ElementsAre;

// A checkpoint in memory.
class FakeReader : public CheckpointReader {
 public:
  template <typename Value>
  void Add(std::string name, DType dtype, const std::vector<Value>& values) {
    TensorInfo info;
    info.name = std::move(name);
    info.dtype = dtype;
    info.shape = {static_cast<int64_t>(values.size())};
    info.byte_size = values.size() * sizeof(Value);
    std::vector<uint8_t> bytes(info.byte_size);
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    index_.tensors.push_back(std::move(info));
    bytes_.push_back(std::move(bytes));
  }

  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    const uint64_t element = dst.size() / count;
    std::memcpy(dst.data(), bytes_[tensor].data() + first * element,
                dst.size());
    return absl::OkStatus();
  }

  std::optional<FileExtent> Locate(size_t) const override {
    return std::nullopt;
  }

 private:
  CheckpointIndex index_;
  std::vector<std::vector<uint8_t>> bytes_;
};

CheckpointComparison Compare(const FakeReader& a, const FakeReader& b,
                             int threads = 2) {
  const std::atomic<bool> cancel{false};
  std::ostringstream err;
  Progress progress(ProgressStyle::kNone, "comparing", &err);
  auto result = CompareCheckpoints(a, b, threads, cancel, progress);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

TEST(CompareCheckpointsTest, PairsByName) {
  FakeReader a;
  a.Add<float>("only_a", DType::kF32, {1});
  a.Add<float>("shape", DType::kF32, {1, 2});
  a.Add<float>("type", DType::kF32, {1});
  a.Add<float>("both", DType::kF32, {1});
  FakeReader b;
  b.Add<float>("both", DType::kF32, {1});
  b.Add<int32_t>("type", DType::kI32, {1});
  b.Add<float>("shape", DType::kF32, {1, 2, 3});
  b.Add<float>("only_b", DType::kF32, {1});

  const CheckpointComparison result = Compare(a, b);
  EXPECT_THAT(result.missing, ElementsAre("only_a"));
  EXPECT_THAT(result.extra, ElementsAre("only_b"));
  ASSERT_EQ(result.mismatched.size(), 2u);
  EXPECT_EQ(result.mismatched[0].original, 1u);
  EXPECT_EQ(result.mismatched[1].original, 2u);
  ASSERT_EQ(result.floats.size(), 1u);
  EXPECT_EQ(result.floats[0].pair.original, 3u);
  EXPECT_EQ(result.floats[0].pair.other, 0u);
  EXPECT_TRUE(result.floats[0].Identical());
}

TEST(CompareCheckpointsTest, FloatsOfDifferentWidthAreComparedByValue) {
  FakeReader a;
  a.Add<float>("w", DType::kF32, {1, -2, 0.5});
  FakeReader b;
  b.Add<uint16_t>("w", DType::kF16, {0x3c00, 0xc000, 0x3800});
  const CheckpointComparison result = Compare(a, b);
  ASSERT_EQ(result.floats.size(), 1u);
  EXPECT_TRUE(result.floats[0].Identical());
}

TEST(CompareCheckpointsTest, WorstFirst) {
  const float infinity = std::numeric_limits<float>::infinity();
  FakeReader a;
  a.Add<float>("good", DType::kF32, {1, 2, 3});
  a.Add<float>("bad", DType::kF32, {1, 2, 3});
  a.Add<float>("lost", DType::kF32, {1, 2, 3});
  FakeReader b;
  b.Add<float>("good", DType::kF32, {1, 2, 3});
  b.Add<float>("bad", DType::kF32, {1, 2, 4});
  b.Add<float>("lost", DType::kF32, {1, 2, infinity});
  const CheckpointComparison result = Compare(a, b);
  ASSERT_EQ(result.floats.size(), 3u);
  EXPECT_EQ(result.floats[0].pair.original, 2u);
  EXPECT_EQ(result.floats[0].became_nonfinite, 1u);
  EXPECT_EQ(result.floats[1].pair.original, 1u);
  EXPECT_EQ(result.floats[1].error.MaxAbsError(), 1);
  EXPECT_EQ(result.floats[2].pair.original, 0u);
}

TEST(CompareCheckpointsTest, OtherTypesAreComparedByteByByte) {
  FakeReader a;
  a.Add<int32_t>("same", DType::kI32, {1, 2, 3});
  a.Add<int32_t>("differs", DType::kI32, {1, 2, 3});
  FakeReader b;
  b.Add<int32_t>("same", DType::kI32, {1, 2, 3});
  b.Add<int32_t>("differs", DType::kI32, {1, 2, 4});
  const CheckpointComparison result = Compare(a, b);
  EXPECT_EQ(result.num_others, 2u);
  ASSERT_EQ(result.different.size(), 1u);
  EXPECT_EQ(result.different[0].original, 1u);
}

TEST(CompareCheckpointsTest, AnyNumberOfThreadsGivesTheSameSums) {
  // Several pieces, the last one incomplete.
  std::vector<float> values(1000003);
  std::vector<float> others(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 1009) / 7;
    others[i] = values[i] + static_cast<float>(i % 13) / 1000;
  }
  FakeReader a;
  a.Add("w", DType::kF32, values);
  FakeReader b;
  b.Add("w", DType::kF32, others);
  const CheckpointComparison one = Compare(a, b, 1);
  const CheckpointComparison many = Compare(a, b, 5);
  EXPECT_EQ(one.floats[0].error.count(), values.size());
  EXPECT_EQ(one.floats[0].error.Mse(), many.floats[0].error.Mse());
  EXPECT_EQ(one.floats[0].SqnrDb(), many.floats[0].SqnrDb());
}

TEST(CompareCheckpointsTest, EmptyTensorsAreIdentical) {
  FakeReader a;
  a.Add<float>("w", DType::kF32, {});
  const CheckpointComparison result = Compare(a, a);
  ASSERT_EQ(result.floats.size(), 1u);
  EXPECT_TRUE(result.floats[0].Identical());
}

}  // namespace
}  // namespace monoquant::cli
