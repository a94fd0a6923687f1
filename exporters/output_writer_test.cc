// Guards: every byte is written exactly once and the checksums that reach the
// exporter are those of the payload, whatever the order of the pieces.

#include "exporters/output_writer.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/crc32.h"

namespace monoquant {
namespace {

using ::monoquant::testing::AddTie;
using ::monoquant::testing::Bytes;
using ::monoquant::testing::MakeTensor;
using ::monoquant::testing::Payload;
using ::monoquant::testing::WriteTo;
using ::testing::HasSubstr;

// Tensors one after the other; the index is the list of checksums, at the end.
class ListExporter : public Exporter {
 public:
  absl::string_view name() const override { return "list"; }

  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override {
    FileLayout layout;
    for (const OutputTensor& tensor : manifest.tensors) {
      if (tensor.tie != kNoTie) {
        layout.offsets.push_back(layout.offsets[tensor.tie]);
        continue;
      }
      layout.offsets.push_back(layout.file_size);
      layout.file_size += tensor.byte_size;
    }
    layout.file_size += 4 * manifest.tensors.size();
    return layout;
  }

  absl::Status WriteIndex(const Manifest&, const FileLayout& layout,
                          absl::Span<const uint32_t> crc32,
                          ByteSink& sink) const override {
    const std::string text(reinterpret_cast<const char*>(crc32.data()),
                           4 * crc32.size());
    return sink.WriteAt(layout.file_size - text.size(), Bytes(text));
  }
};

class OutputWriterTest : public ::testing::Test {
 protected:
  OutputWriterTest() {
    manifest_.tensors.push_back(MakeTensor("a", DType::kU8, {1000}));
    manifest_.tensors.push_back(MakeTensor("empty", DType::kF32, {0}));
    manifest_.tensors.push_back(MakeTensor("b", DType::kF32, {3}));
    AddTie(manifest_, "tied", 0);
    layout_ = exporter_.Layout(manifest_).value();
    sink_ = std::make_unique<MemorySink>("out.bin", layout_.file_size, &file_);
    writer_ =
        std::make_unique<OutputWriter>(exporter_, manifest_, layout_, *sink_);
  }

  absl::Status Write(size_t tensor, uint64_t begin, uint64_t end) {
    const std::string all = Payload(tensor, 2000);
    return WriteTo(*writer_, tensor, begin, all.substr(begin, end - begin));
  }

  std::string Expected() const {
    const std::string a = Payload(0, 1000);
    const std::string b = Payload(2, 12);
    const uint32_t crc[] = {Crc32(Bytes(a)), 0, Crc32(Bytes(b)),
                            Crc32(Bytes(a))};
    return a + b + std::string(reinterpret_cast<const char*>(crc), sizeof(crc));
  }

  ListExporter exporter_;
  Manifest manifest_;
  FileLayout layout_;
  std::string file_;
  std::unique_ptr<MemorySink> sink_;
  std::unique_ptr<OutputWriter> writer_;
};

TEST_F(OutputWriterTest, AnyOrderOfPiecesGivesTheSameFile) {
  // All orders of five pieces, so parts join on the left, the right and both.
  std::vector<std::pair<uint64_t, uint64_t>> pieces = {
      {0, 1}, {1, 400}, {400, 401}, {401, 999}, {999, 1000}};
  std::vector<size_t> order = {0, 1, 2, 3, 4};
  do {
    std::string file;
    MemorySink sink("out.bin", layout_.file_size, &file);
    writer_ =
        std::make_unique<OutputWriter>(exporter_, manifest_, layout_, sink);
    for (size_t i : order) {
      ASSERT_TRUE(Write(0, pieces[i].first, pieces[i].second).ok());
    }
    ASSERT_TRUE(Write(2, 0, 12).ok());
    ASSERT_TRUE(writer_->Finish().ok());
    ASSERT_EQ(file, Expected());
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(OutputWriterTest, TwoThreadsGiveTheSameFile) {
  const auto write_every_other = [this](uint64_t first) {
    for (uint64_t at = first; at < 1000; at += 2) {
      EXPECT_TRUE(Write(0, at, at + 1).ok());
    }
  };
  std::thread even(write_every_other, 0);
  std::thread odd(write_every_other, 1);
  even.join();
  odd.join();
  ASSERT_TRUE(Write(2, 0, 12).ok());
  ASSERT_TRUE(writer_->Finish().ok());
  EXPECT_EQ(file_, Expected());
}

TEST_F(OutputWriterTest, MissingBytesAreFound) {
  struct Case {
    const char* what;
    uint64_t begin, end;
  };
  for (const Case& c : {Case{"all", 0, 0}, Case{"the first", 1, 1000},
                        Case{"the last", 0, 999}}) {
    SCOPED_TRACE(c.what);
    std::string file;
    MemorySink sink("out.bin", layout_.file_size, &file);
    writer_ =
        std::make_unique<OutputWriter>(exporter_, manifest_, layout_, sink);
    ASSERT_TRUE(Write(2, 0, 12).ok());
    ASSERT_TRUE(Write(0, c.begin, c.end).ok());
    const absl::Status status = writer_->Finish();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("out.bin: tensor 'a' was not written completely"));
    EXPECT_EQ(file, "") << "nothing may appear";
  }
}

TEST_F(OutputWriterTest, BytesThatComeTwiceAreFound) {
  struct Case {
    uint64_t begin, end;
  };
  ASSERT_TRUE(Write(0, 100, 200).ok());
  ASSERT_TRUE(Write(0, 300, 400).ok());
  for (const Case& c :
       {Case{100, 200}, Case{0, 101}, Case{199, 201}, Case{150, 160},
        Case{50, 250}, Case{200, 301}, Case{0, 1000}}) {
    SCOPED_TRACE(c.begin);
    EXPECT_EQ(Write(0, c.begin, c.end).code(), absl::StatusCode::kInternal);
  }
}

TEST_F(OutputWriterTest, WritesOutsideTheTensorAreFound) {
  EXPECT_EQ(Write(0, 999, 1001).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Write(0, 1001, 1001).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Write(1, 0, 1).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Write(4, 0, 1).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Write(3, 0, 1000).code(), absl::StatusCode::kInternal) << "tied";
}

TEST_F(OutputWriterTest, PayloadThatStaysElsewhereIsSummedOnly) {
  layout_.elsewhere = {true, false, false, false};
  writer_ =
      std::make_unique<OutputWriter>(exporter_, manifest_, layout_, *sink_);
  ASSERT_TRUE(Write(0, 0, 1000).ok());
  ASSERT_TRUE(Write(2, 0, 12).ok());
  ASSERT_TRUE(writer_->Finish().ok());
  EXPECT_EQ(file_, std::string(1000, '\0') + Expected().substr(1000));
}

TEST_F(OutputWriterTest, FinishReportsAnEarlierFailure) {
  ASSERT_TRUE(Write(0, 0, 1000).ok());
  ASSERT_TRUE(Write(2, 0, 12).ok());
  const absl::Status failure = Write(2, 0, 13);
  EXPECT_EQ(writer_->Finish(), failure);
  EXPECT_EQ(file_, "");
}

}  // namespace
}  // namespace monoquant
