// A bit that changes in the output is found and named; nothing else is.

#include "cli/verify_output.h"

#include <atomic>
#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/plan.h"
#include "core/testing/memory_reader.h"
#include "core/testing/run_plan.h"
#include "core/testing/synthetic.h"
#include "exporters/exporter.h"
#include "exporters/write_checkpoint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/local_files.h"

namespace monoquant::cli {
namespace {

using ::testing::HasSubstr;

class VerifyOutputTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      reader_.Add("w" + std::to_string(i), {48, 64},
                  monoquant::testing::Make(monoquant::testing::Values::kRandom,
                                           48 * 64));
    }
    reader_.AddBytes("ids", DType::kI64, {40}, std::vector<uint8_t>(320, 7));
    reader_.AddTie("tied", 3);
    plan_ = *MakePlan(reader_.index(),
                      monoquant::testing::EveryTensor("int4,group=32"));
    path_ = ::testing::TempDir() + "verified." + GetParam();
    LocalSinkOptions options;
    options.overwrite = true;
    const absl::Status written = WriteCheckpoint(
        reader_, plan_, *(*FindExporterForPath(path_))->exporter,
        [&](uint64_t size) { return CreateLocalSink(path_, size, options); });
    ASSERT_TRUE(written.ok()) << written;
  }

  absl::StatusOr<std::string> Verify(VerifyMode mode,
                                     bool interrupted = false) {
    const std::atomic<bool> cancel{interrupted};
    std::stringstream text;
    Streams streams;
    streams.out = &text;
    streams.err = &text;
    streams.cancel = &cancel;
    return VerifyOutput(path_, reader_, plan_, mode, {2, 1 << 16},
                        ProgressStyle::kNone, streams);
  }

  // Flips a bit of the last occurrence of `bytes` in the file.
  void Damage(const std::string& bytes) {
    std::ifstream in(path_, std::ios::binary);
    std::string whole((std::istreambuf_iterator<char>(in)), {});
    const size_t at = whole.rfind(bytes);
    ASSERT_NE(at, whole.npos);
    whole[at + bytes.size() / 2] ^= 4;
    std::ofstream(path_, std::ios::binary) << whole;
  }

  monoquant::testing::MemoryReader reader_;
  Plan plan_;
  std::string path_;
};

TEST_P(VerifyOutputTest, FindsNothing) {
  for (VerifyMode mode : {VerifyMode::kSample, VerifyMode::kAll}) {
    const absl::StatusOr<std::string> line = Verify(mode);
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_THAT(*line, HasSubstr("no difference"));
  }
}

// torch's archives and .mqir have checksums of their own, which speak first.
TEST_P(VerifyOutputTest, FindsOneBit) {
  Damage(std::string(320, 7));
  const absl::StatusOr<std::string> line = Verify(VerifyMode::kAll);
  ASSERT_FALSE(line.ok());
  EXPECT_THAT(line.status().message(), HasSubstr("'ids'"));
  if (std::string(GetParam()) == "safetensors") {
    EXPECT_EQ(line.status().code(), absl::StatusCode::kAborted);
    EXPECT_THAT(line.status().message(), HasSubstr("byte 160: what was read"));
  }
}

// The output is there all the same, which the message must not deny.
TEST_P(VerifyOutputTest, Interrupted) {
  const absl::StatusOr<std::string> line = Verify(VerifyMode::kAll, true);
  EXPECT_EQ(line.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(line.status().message(), HasSubstr(path_ + " is complete"));
}

// What has a global scale in common is computed again together.
TEST_P(VerifyOutputTest, SharedGlobalScales) {
  monoquant::testing::MemoryReader reader;
  for (int i = 0; i < 12; ++i) {
    const std::string module = "m" + std::to_string(i);
    std::vector<float> values =
        monoquant::testing::Make(monoquant::testing::Values::kRandom, 48 * 64);
    reader.Add(module + ".q_proj.weight", {48, 64}, values);
    values[5] = 1000;
    reader.Add(module + ".k_proj.weight", {48, 64}, values);
  }
  plan_ = *MakePlan(reader.index(), monoquant::testing::EveryTensor("nvfp4"));
  LocalSinkOptions options;
  options.overwrite = true;
  ASSERT_TRUE(
      WriteCheckpoint(
          reader, plan_, *(*FindExporterForPath(path_))->exporter,
          [&](uint64_t size) { return CreateLocalSink(path_, size, options); })
          .ok());
  const std::atomic<bool> cancel{false};
  std::stringstream text;
  Streams streams;
  streams.out = &text;
  streams.err = &text;
  streams.cancel = &cancel;
  for (VerifyMode mode : {VerifyMode::kSample, VerifyMode::kAll}) {
    const absl::StatusOr<std::string> line =
        VerifyOutput(path_, reader, plan_, mode, {2, 1 << 16},
                     ProgressStyle::kNone, streams);
    EXPECT_TRUE(line.ok()) << line.status();
  }
}

// Another run's output.
TEST_P(VerifyOutputTest, FindsOtherTensors) {
  plan_ = *MakePlan(reader_.index(), monoquant::testing::EveryTensor("int8"));
  const absl::StatusOr<std::string> line = Verify(VerifyMode::kSample);
  ASSERT_FALSE(line.ok());
  EXPECT_EQ(line.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(line.status().message(), HasSubstr("another type or shape"));
}

INSTANTIATE_TEST_SUITE_P(Formats, VerifyOutputTest,
                         ::testing::Values("safetensors", "pt", "mqir"),
                         [](const auto& format) {
                           return std::string(format.param);
                         });

}  // namespace
}  // namespace monoquant::cli
