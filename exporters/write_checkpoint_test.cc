// Guards the one-call run: what it writes is what the parts would write, and a
// failure on the way commits nothing.

#include "exporters/write_checkpoint.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/recipe.h"
#include "core/testing/memory_reader.h"
#include "exporters/mqir.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/mqir_reader.h"

namespace monoquant {
namespace {

using ::monoquant::testing::MemoryReader;

class WriteCheckpointTest : public ::testing::Test {
 protected:
  WriteCheckpointTest() {
    std::vector<float> ramp(64 * 32);
    for (size_t i = 0; i < ramp.size(); ++i) {
      ramp[i] = static_cast<float>(i) - 1000;
    }
    weight_ = reader_.Add("fc.weight", {64, 32}, ramp);
    reader_.Add("fc.bias", {64}, std::vector<float>(64, 0.5f));
  }

  absl::Status Write() {
    const absl::StatusOr<Plan> plan = MakePlan(reader_.index(), Recipe());
    if (!plan.ok()) return plan.status();
    return WriteCheckpoint(
        reader_, *plan, MqirExporter(),
        [this](uint64_t size) -> absl::StatusOr<std::unique_ptr<ByteSink>> {
          return std::make_unique<MemorySink>("out.mqir", size, &out_);
        });
  }

  MemoryReader reader_;
  size_t weight_;
  std::string out_;
};

TEST_F(WriteCheckpointTest, WritesAFileThatReadsBack) {
  ASSERT_TRUE(Write().ok());
  const auto written =
      OpenMqir(InMemoryFiles("out.mqir", {{"out.mqir", out_}}));
  ASSERT_TRUE(written.ok()) << written.status();
  const CheckpointIndex& index = (*written)->index();
  ASSERT_EQ(index.quant.tensors.size(), 1u);
  EXPECT_EQ(index.quant.tensors[0].name, "fc.weight");
  // The bias came through unchanged.
  const TensorInfo& bias = index.tensors.back();
  ASSERT_EQ(bias.name, "fc.bias");
  std::vector<uint8_t> bytes(bias.byte_size);
  ASSERT_TRUE((*written)
                  ->Read(index.tensors.size() - 1, 0, 64, absl::MakeSpan(bytes))
                  .ok());
  EXPECT_EQ(bytes, reader_.bytes(1));
}

TEST_F(WriteCheckpointTest, AReadErrorCommitsNothing) {
  reader_.Break(weight_);
  EXPECT_FALSE(Write().ok());
  EXPECT_EQ(out_, "");
}

TEST_F(WriteCheckpointTest, AnErrorOfTheSinkIsPassedOn) {
  const absl::StatusOr<Plan> plan = MakePlan(reader_.index(), Recipe());
  ASSERT_TRUE(plan.ok());
  const absl::Status status = WriteCheckpoint(
      reader_, *plan, MqirExporter(),
      [](uint64_t) -> absl::StatusOr<std::unique_ptr<ByteSink>> {
        return absl::ResourceExhaustedError("out.mqir: the disk is full");
      });
  EXPECT_EQ(status, absl::ResourceExhaustedError("out.mqir: the disk is full"));
}

}  // namespace
}  // namespace monoquant
