// Guards: every piece reaches its shard, a shard is committed with its last
// byte and not before, and a shard that fails is never forgotten.

#include "exporters/sharded_writer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "exporters/output_writer.h"
#include "exporters/safetensors.h"
#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_sink.h"

namespace monoquant {
namespace {

using ::monoquant::testing::Bytes;
using ::monoquant::testing::Payload;
using ::monoquant::testing::SmallManifest;
using ::monoquant::testing::WriteTo;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BrokenSink : public MemorySink {
 public:
  using MemorySink::MemorySink;
  absl::Status Commit() override {
    return absl::ResourceExhaustedError("the disk is full");
  }
};

class ShardedWriterTest : public ::testing::Test {
 protected:
  ShardedWriterTest()
      : manifest_(SmallManifest()),
        // "none" has a shard of its own, without any payload.
        shards_(ShardByGroup(manifest_, {0, 1, 2, 3, 0, 1})),
        files_(shards_.size()) {}

  // Opens a writer; the sink of shard `broken` fails.
  void Open(size_t broken = static_cast<size_t>(-1)) {
    std::vector<ShardOutput> outputs;
    for (size_t i = 0; i < shards_.size(); ++i) {
      FileLayout layout =
          SafetensorsExporter().Layout(shards_[i].manifest).value();
      const uint64_t size = layout.file_size;
      if (i == broken) {
        sinks_.push_back(std::make_unique<BrokenSink>("out", size, &files_[i]));
      } else {
        sinks_.push_back(std::make_unique<MemorySink>("out", size, &files_[i]));
      }
      outputs.push_back({&shards_[i], std::move(layout), sinks_.back().get()});
    }
    writer_ = std::make_unique<ShardedWriter>(SafetensorsExporter(),
                                              std::move(outputs));
  }

  absl::Status Write(size_t tensor, uint64_t begin, uint64_t end) {
    const std::string bytes =
        Payload(tensor, manifest_.tensors[tensor].byte_size);
    return WriteTo(*writer_, tensor, begin, bytes.substr(begin, end - begin));
  }

  absl::Status WriteAll(size_t tensor) {
    return Write(tensor, 0, manifest_.tensors[tensor].byte_size);
  }

  const Manifest manifest_;
  const std::vector<Shard> shards_;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<ByteSink>> sinks_;
  std::unique_ptr<ShardedWriter> writer_;
};

TEST_F(ShardedWriterTest, AShardIsFinishedWithItsLastByte) {
  Open();
  ASSERT_TRUE(Write(0, 2, 6).ok());
  EXPECT_THAT(files_[0], IsEmpty());
  ASSERT_TRUE(Write(0, 0, 2).ok());
  EXPECT_FALSE(files_[0].empty());
  ASSERT_TRUE(WriteAll(1).ok());
  EXPECT_THAT(files_[1], IsEmpty());
  ASSERT_TRUE(WriteAll(5).ok());
  EXPECT_FALSE(files_[1].empty());
  ASSERT_TRUE(WriteAll(2).ok());
  EXPECT_THAT(files_[3], IsEmpty());
  ASSERT_TRUE(writer_->Finish().ok());
  EXPECT_FALSE(files_[3].empty());
}

// Each file is what its manifest alone would give.
TEST_F(ShardedWriterTest, FilesAreThoseOfTheirManifests) {
  Open();
  std::vector<std::thread> threads;
  for (const size_t tensor : {0, 1, 2, 5}) {
    threads.emplace_back(
        [this, tensor] { EXPECT_TRUE(WriteAll(tensor).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(writer_->Finish().ok());
  for (size_t i = 0; i < shards_.size(); ++i) {
    const Manifest& manifest = shards_[i].manifest;
    std::string expected;
    MemorySink sink("out", files_[i].size(), &expected);
    OutputWriter writer(SafetensorsExporter(), manifest,
                        SafetensorsExporter().Layout(manifest).value(), sink);
    for (size_t t = 0; t < manifest.tensors.size(); ++t) {
      const OutputTensor& tensor = manifest.tensors[t];
      if (tensor.tie != kNoTie || tensor.byte_size == 0) continue;
      const std::string bytes =
          Payload(shards_[i].outputs[t], tensor.byte_size);
      ASSERT_TRUE(WriteTo(writer, t, 0, bytes).ok());
    }
    ASSERT_TRUE(writer.Finish().ok());
    EXPECT_EQ(files_[i], expected) << i;
  }
}

// Of a run that was interrupted: a shard may be complete before anything is
// written.
TEST_F(ShardedWriterTest, TakesOverWhatIsThere) {
  Open();
  for (size_t t = 0; t < manifest_.tensors.size(); ++t) {
    if (manifest_.tensors[t].tie != kNoTie) continue;
    const uint64_t size = manifest_.tensors[t].byte_size;
    const std::string bytes = Payload(t, size);
    const auto [shard, tensor] = writer_->Find(t);
    EXPECT_EQ(shards_[shard].outputs[tensor], t);
    if (t % 2 == 0) {
      ASSERT_TRUE(WriteAll(t).ok());
      continue;
    }
    const uint64_t at =
        SafetensorsExporter().Layout(shards_[shard].manifest)->offsets[tensor];
    ASSERT_TRUE(sinks_[shard]->WriteAt(at, Bytes(bytes)).ok());
    ASSERT_TRUE(writer_->Adopt({t, 0, size, Crc32(Bytes(bytes))}).ok());
  }
  ASSERT_TRUE(writer_->Finish().ok());
  const std::vector<std::string> resumed = files_;
  Open();
  for (size_t t = 0; t < manifest_.tensors.size(); ++t) {
    if (manifest_.tensors[t].tie != kNoTie) continue;
    ASSERT_TRUE(WriteAll(t).ok());
  }
  ASSERT_TRUE(writer_->Finish().ok());
  EXPECT_EQ(files_, resumed);
  EXPECT_EQ(writer_->Adopt({99, 0, 0, 0}).code(),
            absl::StatusCode::kOutOfRange);
}

TEST_F(ShardedWriterTest, NothingMayBeMissing) {
  Open();
  ASSERT_TRUE(WriteAll(0).ok());
  ASSERT_TRUE(WriteAll(1).ok());
  ASSERT_TRUE(WriteAll(2).ok());
  EXPECT_THAT(std::string(writer_->Finish().message()),
              HasSubstr("was not written completely"));
}

TEST_F(ShardedWriterTest, AFailureStays) {
  Open(/*broken=*/0);
  EXPECT_EQ(WriteAll(0).code(), absl::StatusCode::kResourceExhausted);
  for (const size_t tensor : {1, 2, 5}) ASSERT_TRUE(WriteAll(tensor).ok());
  EXPECT_EQ(writer_->Finish().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(ShardedWriterTest, RefusesWhatIsNotPlanned) {
  Open();
  EXPECT_EQ(WriteTo(*writer_, 6, 0, "").code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(WriteTo(*writer_, 0, 6, "x").code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(WriteTo(*writer_, 4, 0, "x").code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace monoquant
