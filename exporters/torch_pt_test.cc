// Guards: members, pickle and bytes of the archive, shared storages, and the
// refusals. That torch reads the files is tested elsewhere.

#include "exporters/torch_pt.h"

#include <cstdint>
#include <string>
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
using ::monoquant::testing::Export;
using ::monoquant::testing::MakeTensor;
using ::monoquant::testing::Payload;
using ::monoquant::testing::SmallManifest;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

uint64_t Get(const std::string& bytes, size_t at, int width) {
  uint64_t value = 0;
  for (int i = width; i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes.at(at + i));
  }
  return value;
}

// The members of a small archive, by their local headers, in the file's order.
std::vector<std::pair<std::string, std::string>> Members(
    const std::string& file) {
  std::vector<std::pair<std::string, std::string>> members;
  size_t at = 0;
  while (Get(file, at, 4) == 0x04034b50) {
    const size_t size = Get(file, at + 18, 4);
    const size_t name_size = Get(file, at + 26, 2);
    const size_t data = at + 30 + name_size + Get(file, at + 28, 2);
    EXPECT_EQ(data % 64, 0u);
    members.emplace_back(file.substr(at + 30, name_size),
                         file.substr(data, size));
    EXPECT_EQ(Get(file, at + 14, 4), Crc32(Bytes(members.back().second)));
    at = data + size;
  }
  return members;
}

std::string Member(const std::string& file, const std::string& name) {
  for (const auto& [member, bytes] : Members(file)) {
    if (member == "archive/" + name) return bytes;
  }
  return "absent";
}

TEST(TorchPtTest, MembersAreThoseOfTorch) {
  Manifest manifest = SmallManifest();
  manifest.record.version = "1.2.3";
  const std::string file = Export(TorchPtExporter(), manifest).value();
  std::vector<std::string> names;
  for (const auto& [name, bytes] : Members(file)) names.push_back(name);
  EXPECT_THAT(
      names,
      ElementsAre("archive/data.pkl", "archive/.format_version",
                  "archive/.storage_alignment", "archive/byteorder",
                  "archive/monoquant.json", "archive/data/0", "archive/data/1",
                  "archive/data/2", "archive/data/3", "archive/data/4",
                  "archive/version", "archive/.data/serialization_id"));
  EXPECT_EQ(Member(file, ".format_version"), "1");
  EXPECT_EQ(Member(file, ".storage_alignment"), "64");
  EXPECT_EQ(Member(file, "byteorder"), "little");
  EXPECT_EQ(Member(file, "version"), "3\n");
  EXPECT_EQ(Member(file, "monoquant.json"), QuantRecordToJson(manifest.record));
  EXPECT_EQ(Member(file, "data/0"), Payload(0, 6));
  EXPECT_EQ(Member(file, "data/4"), Payload(5, 4));
}

TEST(TorchPtTest, GoldenPickle) {
  Manifest manifest;
  manifest.tensors.push_back(MakeTensor("w", DType::kI8, {2, 300}));
  AddTie(manifest, "t", 0);
  manifest.tensors.push_back(MakeTensor("f", DType::kF8E4M3, {}));
  const std::string file = Export(TorchPtExporter(), manifest).value();
  // Disassembled: {'w': v2(storage 0, 600 elements, 0, (2, 300), (300, 1)),
  // 't': the same storage, 'f': v3(storage 1, 1 byte, 0, (), (), float8)}.
  const char kGolden[] =
      "\x80\2"
      "ccollections\nOrderedDict\nq\0)R("
      "X\1\0\0\0w"
      "ctorch._utils\n_rebuild_tensor_v2\nq\1"
      "((X\7\0\0\0storageq\2ctorch\nCharStorage\nq\3X\1\0\0\0"
      "0"
      "X\3\0\0\0cpuq\4M\x58\2tQK\0(K\2M\x2c\1t(M\x2c\1K\1t\x89h\0)RtR"
      "X\1\0\0\0t"
      "h\1((h\2h\3X\1\0\0\0"
      "0"
      "h\4M\x58\2tQK\0(K\2M\x2c\1t(M\x2c\1K\1t\x89h\0)RtR"
      "X\1\0\0\0f"
      "ctorch._utils\n_rebuild_tensor_v3\nq\5"
      "((h\2ctorch.storage\nUntypedStorage\nq\6X\1\0\0\0"
      "1"
      "h\4K\1tQK\0))\x89h\0)Rctorch\nfloat8_e4m3fn\nq\7tR"
      "u.";
  EXPECT_EQ(Member(file, "data.pkl"),
            std::string(kGolden, sizeof(kGolden) - 1));
}

// A change of any byte of the format shows here. If it is meant, other tools
// must be tried on the new file before the numbers are changed.
TEST(TorchPtTest, GoldenFile) {
  const std::string file = Export(TorchPtExporter(), SmallManifest()).value();
  EXPECT_EQ(file.size(), 2493u);
  EXPECT_EQ(Crc32(Bytes(file)), 0x66223b28u);
}

TEST(TorchPtTest, AnyOrderOfWritesGivesTheSameFile) {
  const std::string file = Export(TorchPtExporter(), SmallManifest()).value();
  EXPECT_EQ(Export(TorchPtExporter(), SmallManifest(), 1, true).value(), file);
  EXPECT_EQ(Export(TorchPtExporter(), SmallManifest(), 5, false).value(), file);
}

TEST(TorchPtTest, TheIdFollowsFromTheContents) {
  Manifest manifest = SmallManifest();
  const std::string id = Member(Export(TorchPtExporter(), manifest).value(),
                                ".data/serialization_id");
  EXPECT_EQ(id.size(), 40u);
  EXPECT_EQ(id.find_first_not_of("0123456789"), std::string::npos);
  manifest.tensors[1].name = "other";
  const std::string renamed = Member(
      Export(TorchPtExporter(), manifest).value(), ".data/serialization_id");
  EXPECT_NE(renamed.substr(0, 20), id.substr(0, 20));
  EXPECT_EQ(renamed.substr(20), id.substr(20));
}

TEST(TorchPtTest, NarrowElementsAreCountedInBytes) {
  Manifest manifest;
  manifest.tensors.push_back(MakeTensor("w", DType::kF4, {3, 4}));
  const std::string file = Export(TorchPtExporter(), manifest).value();
  // Six bytes in a storage; torch's shape is (3, 2), its strides (2, 1).
  EXPECT_THAT(Member(file, "data.pkl"),
              HasSubstr(std::string("K\6tQK\0(K\3K\2t(K\2K\1t", 18)));

  manifest.tensors[0] = MakeTensor("w", DType::kF4, {4, 3});
  const absl::Status status = TorchPtExporter().Layout(manifest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("tensor 'w': torch packs 2 values of F4"));
}

TEST(TorchPtTest, EveryDTypeIsWrittenOrRefusedByName) {
  for (const DTypeInfo& info : AllDTypes()) {
    SCOPED_TRACE(info.name);
    Manifest manifest;
    manifest.tensors.push_back(MakeTensor("x", info.dtype, {8}));
    const absl::Status status = TorchPtExporter().Layout(manifest).status();
    const std::string name(info.name);
    const bool refused = name.substr(0, 3) == "F6_";
    EXPECT_EQ(status.code(), refused ? absl::StatusCode::kFailedPrecondition
                                     : absl::StatusCode::kOk);
    if (refused) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("tensor 'x'"));
      EXPECT_THAT(std::string(status.message()), HasSubstr(name));
      EXPECT_THAT(std::string(status.message()), HasSubstr("; write a"));
    }
  }
}

TEST(TorchPtTest, QuantizedTypesOfTorchAreWrittenAsPlainIntegers) {
  const std::pair<DType, const char*> cases[] = {
      {DType::kQI8, "CharStorage"},   {DType::kQU8, "ByteStorage"},
      {DType::kQI32, "IntStorage"},   {DType::kQU4x2, "ByteStorage"},
      {DType::kQU2x4, "ByteStorage"},
  };
  for (const auto& [dtype, storage] : cases) {
    Manifest manifest;
    manifest.tensors.push_back(MakeTensor("x", dtype, {3}));
    const auto file = Export(TorchPtExporter(), manifest);
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_THAT(Member(*file, "data.pkl"), HasSubstr(storage));
    EXPECT_EQ(Member(*file, "data/0"),
              Payload(0, manifest.tensors[0].byte_size));
  }
}

TEST(TorchPtTest, SizesThatOverflowAreRefused) {
  Manifest manifest;
  for (int i = 0; i < 4; ++i) {
    manifest.tensors.push_back(
        MakeTensor(std::to_string(i), DType::kU8, {(int64_t{1} << 61) - 1}));
  }
  EXPECT_EQ(TorchPtExporter().Layout(manifest).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace monoquant
