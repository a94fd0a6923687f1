#include "ir/mqir_reader.h"

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/mqir_testing.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;
using ::monoquant::testing::MakeManifest;
using ::monoquant::testing::MakeMqir;
using ::monoquant::testing::MakeOutput;
using ::monoquant::testing::MakePayload;
using ::testing::IsEmpty;

absl::StatusOr<std::unique_ptr<CheckpointReader>> Open(std::string file) {
  return OpenMqir(InMemoryFiles("m.mqir", {{"m.mqir", std::move(file)}}));
}

absl::StatusOr<std::string> Read(const CheckpointReader& reader, size_t tensor,
                                 uint64_t first, uint64_t count, size_t bytes) {
  std::vector<uint8_t> buffer(bytes);
  const absl::Status status =
      reader.Read(tensor, first, count, absl::MakeSpan(buffer));
  if (!status.ok()) return status;
  return std::string(buffer.begin(), buffer.end());
}

absl::StatusOr<std::string> ReadWhole(const CheckpointReader& reader,
                                      size_t tensor) {
  const TensorInfo& info = reader.index().tensors[tensor];
  return Read(reader, tensor, 0, NumElements(info.shape).value(),
              info.byte_size);
}

TEST(MqirReaderTest, IndexRoundTrips) {
  const Manifest manifest = MakeManifest();
  const auto reader = Open(MakeMqir(manifest)).value();
  const CheckpointIndex& index = reader->index();
  EXPECT_EQ(index.container, "mqir");
  EXPECT_EQ(index.path, "m.mqir");
  EXPECT_THAT(index.notes, IsEmpty());
  EXPECT_EQ(index.metadata, manifest.metadata);
  ASSERT_EQ(index.tensors.size(), manifest.tensors.size());
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& read = index.tensors[i];
    const OutputTensor& written = manifest.tensors[i];
    EXPECT_EQ(read.name, written.name);
    EXPECT_EQ(read.dtype, written.dtype);
    EXPECT_EQ(read.shape, written.shape);
    EXPECT_EQ(read.byte_size, written.byte_size);
    EXPECT_EQ(read.tie, written.tie);
    EXPECT_EQ(read.module_kind, written.module_kind);
  }
  // JSON shows every field of the record.
  EXPECT_EQ(QuantRecordToJson(index.quant), QuantRecordToJson(manifest.record));
  EXPECT_EQ(index.quant.recipe, manifest.record.recipe);
}

// All dtypes and scheme fields come through, not just those of the small file.
TEST(MqirReaderTest, EveryDTypeAndScheme) {
  Manifest manifest;
  manifest.record.version = "1";
  for (const DTypeInfo& info : AllDTypes()) {
    manifest.tensors.push_back(
        MakeOutput(std::string(info.name), info.dtype, {4, 2}));
  }
  for (int f = 0; f < kNumNumberFormats; ++f) {
    QuantizedTensor tensor;
    tensor.scheme.format = static_cast<NumberFormat>(f);
    tensor.scheme.granularity = static_cast<Granularity>(f % 3);
    tensor.scheme.axis = 1;
    tensor.scheme.group_size = 2;
    if (HasRowScales(tensor.scheme.format)) {
      tensor.scheme.granularity = Granularity::kAxis;
      tensor.scheme.axis = 0;
    }
    const bool has_choice =
        HasZeroPoints(tensor.scheme.format) || !HasScales(tensor.scheme.format);
    tensor.scheme.symmetric = f % 2 == 0 || !has_choice;
    tensor.scheme.convention = static_cast<Convention>(f / 2 % 2);
    if (HasScales(tensor.scheme.format)) {
      tensor.scheme.scale_dtype = f % 2 == 0 ? DType::kBF16 : DType::kF32;
      if (tensor.scheme.format == NumberFormat::kFp4E2M1) {
        tensor.scheme.scale_dtype = DType::kF8E8M0;
      }
    }
    tensor.name = "q" + std::to_string(f);
    tensor.dtype = DType::kF16;
    tensor.shape = {3, 4};
    const DType codes = CodeDType(tensor.scheme.format);
    manifest.tensors.push_back(
        MakeOutput(tensor.name, codes,
                   CodeShape(tensor.scheme.format, tensor.shape).value()));
    if (HasScales(tensor.scheme.format)) {
      tensor.scale = tensor.name + ".s";
      const Shape params =
          ComputeParamLayout(tensor.scheme, tensor.shape)->param_shape;
      manifest.tensors.push_back(
          MakeOutput(tensor.scale, tensor.scheme.scale_dtype, params));
      if (HasZeroPoints(tensor.scheme.format)) {
        tensor.zero_point = tensor.name + ".z";
        manifest.tensors.push_back(MakeOutput(
            tensor.zero_point, ZeroPointDType(tensor.scheme.format), params));
      }
    }
    manifest.record.tensors.push_back(tensor);
  }
  const QuantScheme nvfp4 = NamedSchemes().back().scheme;
  const StoredWeight stored =
      StoreWeight(QuantStorage::kPlain, "nv", nvfp4, {3, 32}).value();
  for (const StoredPart& part :
       {stored.codes, *stored.scale, *stored.global_scale}) {
    manifest.tensors.push_back(MakeOutput(part.name, part.dtype, part.shape));
  }
  manifest.record.tensors.push_back(RecordOf("nv", nvfp4, QuantStorage::kPlain,
                                             stored, DType::kF16, {3, 32}));
  const auto reader = Open(MakeMqir(manifest)).value();
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    EXPECT_EQ(reader->index().tensors[i].dtype, manifest.tensors[i].dtype);
    EXPECT_EQ(ReadWhole(*reader, i).value(), MakePayload(manifest, i));
  }
  const auto& read = reader->index().quant.tensors;
  ASSERT_EQ(read.size(), manifest.record.tensors.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].scheme, manifest.record.tensors[i].scheme) << i;
    EXPECT_EQ(read[i].part_names(), manifest.record.tensors[i].part_names());
  }
}

TEST(MqirReaderTest, EmptyManifest) {
  const auto reader = Open(MakeMqir(Manifest())).value();
  EXPECT_THAT(reader->index().tensors, IsEmpty());
  EXPECT_TRUE(reader->index().quant.empty());
}

TEST(MqirReaderTest, ReadsAnyRange) {
  const Manifest manifest = MakeManifest();
  const std::string file = MakeMqir(manifest);
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const std::string payload = MakePayload(manifest, i);
    const uint64_t elements = NumElements(manifest.tensors[i].shape).value();
    const uint64_t bits = GetDTypeInfo(manifest.tensors[i].dtype).bits;
    for (uint64_t first = 0; first <= elements; ++first) {
      for (uint64_t count = 0; first + count <= elements; ++count) {
        // A fresh reader, so that each range is the first to be read.
        const auto reader = Open(file).value();
        const absl::StatusOr<std::string> read =
            Read(*reader, i, first, count, count * bits / 8);
        if (first * bits % 8 != 0 || count * bits % 8 != 0) {
          ExpectError(read, absl::StatusCode::kInvalidArgument,
                      "m.mqir: tensor 'tiny'");
        } else {
          ASSERT_TRUE(read.ok()) << read.status();
          ASSERT_EQ(*read, payload.substr(first * bits / 8, count * bits / 8));
        }
      }
    }
  }
}

TEST(MqirReaderTest, RefusesRangesThatDoNotExist) {
  const auto reader = Open(MakeMqir(MakeManifest())).value();
  const uint64_t max = std::numeric_limits<uint64_t>::max();
  ExpectError(Read(*reader, 0, 0, 25, 25), absl::StatusCode::kInvalidArgument,
              "m.mqir: tensor 'fc.weight'");
  ExpectError(Read(*reader, 0, max, 2, 2), absl::StatusCode::kInvalidArgument,
              "do not exist");
  ExpectError(Read(*reader, 0, 0, 24, 23), absl::StatusCode::kInvalidArgument,
              "24 elements have 24 bytes, the buffer 23");
  ExpectError(Read(*reader, 99, 0, 0, 0), absl::StatusCode::kInvalidArgument,
              "no tensor 99");
}

TEST(MqirReaderTest, LocateGivesTheBytes) {
  const Manifest manifest = MakeManifest();
  const std::string file = MakeMqir(manifest);
  const auto reader = Open(file).value();
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const std::optional<FileExtent> extent = reader->Locate(i);
    ASSERT_TRUE(extent.has_value());
    EXPECT_EQ(extent->file, "m.mqir");
    EXPECT_EQ(file.substr(extent->offset, extent->size),
              MakePayload(manifest, i));
  }
  EXPECT_FALSE(reader->Locate(99).has_value());
}

TEST(MqirReaderTest, IsMqir) {
  const std::string file = MakeMqir(MakeManifest());
  const std::pair<std::string, bool> cases[] = {
      {file, true}, {file.substr(0, 8), true}, {file.substr(0, 7), false},
      {"", false},  {"x" + file, false},
  };
  for (const auto& [bytes, expected] : cases) {
    EXPECT_EQ(IsMqir(InMemoryFiles("m", {{"m", bytes}})).value(), expected);
  }
  EXPECT_FALSE(IsMqir(InMemoryFiles("dir", {{"m", file}})).value());
}

// Damage, everywhere: what the header and the index say is never believed.
TEST(MqirReaderTest, EveryFlippedBitOfHeaderAndIndexIsFound) {
  const Manifest manifest = MakeManifest();
  const std::string file = MakeMqir(manifest);
  const size_t head = LayoutMqir(manifest)->offsets[0];
  size_t padding = 0;
  for (size_t i = 0; i < head; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = file;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      const auto reader = Open(damaged);
      if (reader.ok()) {
        // Only the zeros between index and payload have no checksum.
        ++padding;
        continue;
      }
      ASSERT_EQ(reader.status().code(), absl::StatusCode::kDataLoss)
          << reader.status();
      ASSERT_TRUE(absl::StrContains(reader.status().message(), "m.mqir: "));
    }
  }
  EXPECT_LT(padding, 64u * 8u);
}

TEST(MqirReaderTest, EveryTruncationIsFound) {
  const std::string file = MakeMqir(MakeManifest());
  for (size_t size = 0; size < file.size(); ++size) {
    ExpectError(Open(file.substr(0, size)), absl::StatusCode::kDataLoss,
                "; the file is truncated, get it again");
  }
  ExpectError(Open(file + "x"), absl::StatusCode::kDataLoss, "was appended");
}

TEST(MqirReaderTest, DamagedPayload) {
  const Manifest manifest = MakeManifest();
  const std::string file = MakeMqir(manifest);
  const MqirLayout layout = LayoutMqir(manifest).value();
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    if (manifest.tensors[i].byte_size == 0) continue;
    std::string damaged = file;
    damaged[layout.offsets[i]] ^= 1;
    const auto reader = Open(damaged).value();
    const std::string message =
        "m.mqir: tensor '" + manifest.tensors[i].name + "': the checksum";
    ExpectError(ReadWhole(*reader, i), absl::StatusCode::kDataLoss, message);
    // A part that is intact is refused too, again and again.
    for (int times = 0; times < 2; ++times) {
      if (manifest.tensors[i].dtype == DType::kI8 &&
          manifest.tensors[i].byte_size > 1) {
        ExpectError(Read(*reader, i, 1, 1, 1), absl::StatusCode::kDataLoss,
                    message);
      }
    }
    // Other tensors are not concerned.
    EXPECT_TRUE(ReadWhole(*reader, i == 1 ? 5 : 1).ok());
  }
}

// Counts the bytes that are read.
class CountingSource : public ByteSource {
 public:
  CountingSource(std::string bytes, std::atomic<uint64_t>* count)
      : memory_("m", std::move(bytes)), count_(count) {}
  const std::string& name() const override { return memory_.name(); }
  uint64_t size() const override { return memory_.size(); }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    *count_ += dst.size();
    return memory_.ReadAt(offset, dst);
  }

 private:
  MemorySource memory_;
  std::atomic<uint64_t>* count_;
};

// Opening reads no payload, and a checksum is computed once.
TEST(MqirReaderTest, ReadsNoMoreThanNeeded) {
  Manifest manifest;
  constexpr int64_t kBytes = 3000000;
  manifest.tensors = {MakeOutput("a", DType::kU8, {kBytes}),
                      MakeOutput("b", DType::kU8, {kBytes})};
  std::atomic<uint64_t> count = 0;
  CheckpointFiles files = InMemoryFiles("m", {{"m", ""}});
  const auto source =
      std::make_shared<CountingSource>(MakeMqir(manifest), &count);
  files.open = [source](absl::string_view) { return source; };
  const auto reader = OpenMqir(files).value();
  EXPECT_LT(count, 2000u);

  count = 0;
  EXPECT_EQ(ReadWhole(*reader, 0).value(), MakePayload(manifest, 0));
  EXPECT_EQ(count, uint64_t{kBytes});

  count = 0;
  EXPECT_EQ(Read(*reader, 1, 1000000, 10, 10).value(),
            MakePayload(manifest, 1).substr(1000000, 10));
  EXPECT_EQ(count, uint64_t{kBytes} + 10);

  count = 0;
  EXPECT_TRUE(Read(*reader, 0, 5, 10, 10).ok());
  EXPECT_TRUE(Read(*reader, 1, 5, 10, 10).ok());
  EXPECT_EQ(count, 20u);
}

// An original with the payload of two tensors, one in the middle of the other,
// as views of one storage are.
class LinkTest : public ::testing::Test {
 protected:
  LinkTest() {
    manifest_.tensors = {MakeOutput("w", DType::kU8, {6}),
                         MakeOutput("own", DType::kU8, {5}),
                         MakeOutput("view", DType::kU8, {3}),
                         MakeOutput("tied", DType::kU8, {6}, 0)};
    const MqirLayout layout = LayoutMqir(manifest_, Links()).value();
    std::vector<uint32_t> crc32;
    for (const char* payload : {"abcdef", "\x20!\"#$", "cde", ""}) {
      crc32.push_back(Crc32(testing::AsBytes(payload)));
    }
    file_ = BuildMqirHeadAndIndex(manifest_, layout, crc32, Links()).value();
    file_.resize(layout.file_size);
    file_.replace(layout.offsets[1], 5, "\x20!\"#$");
  }

  std::vector<MqirLink> Links() const {
    return {{0, "model.pt", original_.size(), 3, "torch"},
            {2, "model.pt", original_.size(), 5, "torch"}};
  }

  absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenWith(
      std::vector<std::pair<std::string, std::string>> others) {
    others.emplace_back("m.mqir", file_);
    return OpenMqir(InMemoryFiles("dir/m.mqir", std::move(others)));
  }

  const std::string original_ = "...abcdef...";
  Manifest manifest_;
  std::string file_;
};

TEST_F(LinkTest, ReadsFromTheOriginal) {
  const auto opened = OpenWith({{"model.pt", original_}});
  ASSERT_TRUE(opened.ok()) << opened.status();
  const CheckpointReader& reader = **opened;
  EXPECT_EQ(ReadWhole(reader, 0).value(), "abcdef");
  EXPECT_EQ(ReadWhole(reader, 1).value(), "\x20!\"#$");
  EXPECT_EQ(ReadWhole(reader, 2).value(), "cde");
  EXPECT_EQ(Read(reader, 3, 1, 2, 2).value(), "bc");
  EXPECT_EQ(reader.Locate(2)->file, "model.pt");
  EXPECT_EQ(reader.Locate(2)->offset, 5u);
  EXPECT_EQ(reader.Locate(1)->file, "m.mqir");
  ASSERT_EQ(reader.index().notes.size(), 1u);
  EXPECT_EQ(reader.index().tensors[3].tie, 0u);
}

TEST_F(LinkTest, OriginalIsMissing) {
  ExpectError(OpenWith({}), absl::StatusCode::kNotFound,
              "dir/m.mqir: its tensors lie in 'model.pt', which is not beside "
              "it; put that file into the same directory");
}

TEST_F(LinkTest, OriginalHasAnotherSize) {
  ExpectError(OpenWith({{"model.pt", original_ + "."}}),
              absl::StatusCode::kDataLoss,
              "dir/model.pt: has 13 bytes, but dir/m.mqir was linked to a file "
              "of 12 bytes; put the original");
}

TEST_F(LinkTest, OriginalWasChanged) {
  const auto reader = OpenWith({{"model.pt", "...abcdeF..."}}).value();
  ExpectError(ReadWhole(*reader, 0), absl::StatusCode::kDataLoss,
              "dir/model.pt: tensor 'w': the checksum");
  ExpectError(ReadWhole(*reader, 3), absl::StatusCode::kDataLoss, "link again");
  EXPECT_EQ(ReadWhole(*reader, 2).value(), "cde");
}

}  // namespace
}  // namespace monoquant
