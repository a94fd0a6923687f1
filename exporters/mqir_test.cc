// Guards: what this exporter writes is what the reader reads, with payload
// inside and with payload left elsewhere. The format itself is tested in ir.

#include "exporters/mqir.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/crc32.h"
#include "ir/mqir_reader.h"

namespace monoquant {
namespace {

using ::monoquant::testing::Bytes;
using ::monoquant::testing::Export;
using ::monoquant::testing::MakeTensor;
using ::monoquant::testing::Payload;
using ::monoquant::testing::SmallManifest;
using ::testing::HasSubstr;
using ::testing::Not;

std::string ReadTensor(const CheckpointReader& reader, size_t tensor) {
  const TensorInfo& info = reader.index().tensors[tensor];
  std::string bytes(info.byte_size, '\0');
  uint64_t count = 1;
  for (int64_t dim : info.shape) count *= static_cast<uint64_t>(dim);
  const absl::Status status = reader.Read(
      tensor, 0, count,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()));
  return status.ok() ? bytes : std::string(status.message());
}

void ExpectHoldsManifest(const CheckpointReader& reader,
                         const Manifest& manifest) {
  ASSERT_EQ(reader.index().tensors.size(), manifest.tensors.size());
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const OutputTensor& expected = manifest.tensors[i];
    const TensorInfo& found = reader.index().tensors[i];
    EXPECT_EQ(found.name, expected.name);
    EXPECT_EQ(found.dtype, expected.dtype);
    EXPECT_EQ(found.shape, expected.shape);
    EXPECT_EQ(found.tie, expected.tie);
    const size_t payload = expected.tie == kNoTie ? i : expected.tie;
    EXPECT_EQ(ReadTensor(reader, i), Payload(payload, expected.byte_size));
  }
}

TEST(MqirExporterTest, TheReaderReadsIt) {
  Manifest manifest = SmallManifest();
  manifest.metadata = {{"license", "MIT"}};
  const auto file = Export(MqirExporter(), manifest);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto reader = OpenMqir(InMemoryFiles("m.mqir", {{"m.mqir", *file}}));
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectHoldsManifest(**reader, manifest);
  EXPECT_EQ((*reader)->index().metadata, manifest.metadata);
}

TEST(MqirExporterTest, EveryDTypeIsHeld) {
  Manifest manifest;
  for (const DTypeInfo& info : AllDTypes()) {
    manifest.tensors.push_back(
        MakeTensor(std::string(info.name), info.dtype, {4}));
  }
  const auto file = Export(MqirExporter(), manifest);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto reader = OpenMqir(InMemoryFiles("m.mqir", {{"m.mqir", *file}}));
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectHoldsManifest(**reader, manifest);
}

TEST(MqirExporterTest, AnyOrderOfWritesGivesTheSameFile) {
  const std::string file = Export(MqirExporter(), SmallManifest()).value();
  EXPECT_EQ(Export(MqirExporter(), SmallManifest(), 1, true).value(), file);
  EXPECT_EQ(Export(MqirExporter(), SmallManifest(), 5, false).value(), file);
}

// A change of any byte of the format shows here; docs/ir_format.md says what
// may change and how.
TEST(MqirExporterTest, GoldenFile) {
  const std::string file = Export(MqirExporter(), SmallManifest()).value();
  EXPECT_EQ(file.size(), 836u);
  EXPECT_EQ(Crc32(Bytes(file)), 0x7ee4a908u);
}

TEST(MqirExporterTest, LinkedPayloadStaysWhereItIs) {
  const Manifest manifest = SmallManifest();
  // Tensor 0 and its tie lie in another file, between other bytes.
  const std::string original = "before" + Payload(0, 6) + "after";
  const std::unique_ptr<Exporter> exporter =
      MakeLinkingMqirExporter({{.tensor = 0,
                                .file = "original.bin",
                                .file_size = original.size(),
                                .offset = 6,
                                .container = "test"}});
  const auto file = Export(*exporter, manifest);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(*file, Not(HasSubstr(Payload(0, 6))));
  EXPECT_THAT(*file, HasSubstr(Payload(1, 8)));

  const auto reader = OpenMqir(
      InMemoryFiles("m.mqir", {{"m.mqir", *file}, {"original.bin", original}}));
  ASSERT_TRUE(reader.ok()) << reader.status();
  ExpectHoldsManifest(**reader, manifest);

  // The checksum covers what was linked.
  std::string changed = original;
  changed[7] ^= 1;
  const auto damaged = OpenMqir(
      InMemoryFiles("m.mqir", {{"m.mqir", *file}, {"original.bin", changed}}));
  ASSERT_TRUE(damaged.ok()) << damaged.status();
  EXPECT_THAT(ReadTensor(**damaged, 0), HasSubstr("'w'"));
}

TEST(MqirExporterTest, ATieCannotBeLinked) {
  const std::unique_ptr<Exporter> exporter =
      MakeLinkingMqirExporter({{.tensor = 4,
                                .file = "o",
                                .file_size = 10,
                                .offset = 0,
                                .container = "test"}});
  EXPECT_EQ(exporter->Layout(SmallManifest()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace monoquant
