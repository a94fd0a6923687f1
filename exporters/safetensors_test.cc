// Guards: the bytes of the header, the order and alignment of the data, ties,
// and the refusals. That the safetensors library reads the files is tested
// elsewhere.

#include "exporters/safetensors.h"

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"

namespace monoquant {
namespace {

using ::monoquant::testing::AddTie;
using ::monoquant::testing::Export;
using ::monoquant::testing::MakeTensor;
using ::monoquant::testing::Payload;
using ::monoquant::testing::SmallManifest;
using ::testing::HasSubstr;

uint64_t HeaderSize(const std::string& file) {
  uint64_t size = 0;
  for (int i = 8; i-- > 0;) size = size << 8 | static_cast<uint8_t>(file.at(i));
  return size;
}

Json Header(const std::string& file) {
  const absl::StatusOr<Json> json = ParseJson(file.substr(8, HeaderSize(file)));
  EXPECT_TRUE(json.ok()) << json.status();
  return json.ok() ? *json : Json();
}

TEST(SafetensorsTest, GoldenBytes) {
  const std::string head =
      "{\"__metadata__\":{\"format\":\"pt\","
      "\"monoquant.ties\":\"{\\\"head\\\":\\\"w\\\"}\",\"head\":\"w\"},"
      "\"steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
      "\"w.scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
      "\"none\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[16,16]},"
      "\"gr\\u00f6\\u00dfe\":{\"dtype\":\"BF16\",\"shape\":[1,2,1],"
      "\"data_offsets\":[16,20]},"
      "\"w\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[20,26]}}";
  const std::string padding(440 - head.size(), ' ');
  const std::string length("\xb8\1\0\0\0\0\0\0", 8);  // 440
  const std::string data =
      Payload(2, 8) + Payload(1, 8) + Payload(5, 4) + Payload(0, 6);
  const absl::StatusOr<std::string> file =
      Export(SafetensorsExporter(), SmallManifest());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(*file, length + head + padding + data);
}

TEST(SafetensorsTest, AnyOrderOfWritesGivesTheSameFile) {
  const std::string file =
      Export(SafetensorsExporter(), SmallManifest()).value();
  EXPECT_EQ(Export(SafetensorsExporter(), SmallManifest(), 1, true).value(),
            file);
  EXPECT_EQ(Export(SafetensorsExporter(), SmallManifest(), 5, false).value(),
            file);
}

TEST(SafetensorsTest, EveryTensorIsAlignedAndTheFileIsCovered) {
  Manifest manifest;
  for (const DTypeInfo& info : AllDTypes()) {
    if (!info.in_safetensors) continue;
    for (int64_t count : {4, 0, 12}) {
      manifest.tensors.push_back(MakeTensor(
          std::string(info.name) + std::to_string(count), info.dtype, {count}));
    }
  }
  const FileLayout layout = SafetensorsExporter().Layout(manifest).value();
  // Together the ranges cover the file from the first to the last without a
  // gap: as many bytes as there are, and no two alike.
  std::set<uint64_t> seen;
  uint64_t begin = layout.file_size;
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const OutputTensor& tensor = manifest.tensors[i];
    const int bits = GetDTypeInfo(tensor.dtype).bits;
    if (bits >= 8) {
      EXPECT_EQ(layout.offsets[i] % (bits / 8), 0u) << tensor.name;
    }
    begin = std::min(begin, layout.offsets[i]);
    for (uint64_t at = 0; at < tensor.byte_size; ++at) {
      EXPECT_TRUE(seen.insert(layout.offsets[i] + at).second) << tensor.name;
    }
  }
  EXPECT_EQ(begin % 64, 0u);
  EXPECT_EQ(seen.size(), layout.file_size - begin);
  EXPECT_EQ(*seen.begin(), begin);
}

TEST(SafetensorsTest, MetadataIsCarriedAndOwnKeysWin) {
  Manifest manifest = SmallManifest();
  manifest.metadata = {{"format", "np"},
                       {"head", "old"},
                       {"license", "\"Apache\"\n2.0"},
                       {"monoquant", "old"}};
  manifest.record.version = "1.2.3";
  const Json header = Header(Export(SafetensorsExporter(), manifest).value());
  const Json* metadata = header.Find("__metadata__");
  ASSERT_NE(metadata, nullptr);
  const auto text = [&](const char* key) {
    const Json* value = metadata->Find(key);
    return value == nullptr ? std::string("absent") : *value->AsString();
  };
  EXPECT_EQ(text("format"), "pt");
  EXPECT_EQ(text("head"), "w");
  EXPECT_EQ(text("license"), "\"Apache\"\n2.0");
  EXPECT_EQ(text("monoquant"), QuantRecordToJson(manifest.record));
  EXPECT_EQ(metadata->AsObject()->size(), 5u);
}

TEST(SafetensorsTest, NoTensorsIsAFile) {
  const std::string file = Export(SafetensorsExporter(), Manifest()).value();
  EXPECT_EQ(file.size() % 64, 0u);
  EXPECT_EQ(file.size(), 8 + HeaderSize(file));
  EXPECT_EQ(Header(file).AsObject()->size(), 1u);
}

TEST(SafetensorsTest, WhatTheFormatCannotHoldIsRefused) {
  struct Case {
    const char* name;
    DType dtype;
    const char* message;
  };
  const Case cases[] = {
      {"x", DType::kC128,
       "tensor 'x': safetensors has no dtype C128; write a torch or mqir file"},
      {"x", DType::kI4, "no dtype I4; write a torch or mqir file"},
      {"__metadata__", DType::kF32,
       "tensor '__metadata__': safetensors keeps this name for itself"},
  };
  for (const Case& c : cases) {
    Manifest manifest;
    manifest.tensors.push_back(MakeTensor(c.name, c.dtype, {2}));
    const absl::Status status = SafetensorsExporter().Layout(manifest).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

TEST(SafetensorsTest, QuantizedTypesOfTorchAreWrittenAsPlainIntegers) {
  const std::pair<DType, const char*> cases[] = {
      {DType::kQI8, "I8"},   {DType::kQU8, "U8"},   {DType::kQI32, "I32"},
      {DType::kQU4x2, "U8"}, {DType::kQU2x4, "U8"},
  };
  for (const auto& [dtype, name] : cases) {
    Manifest manifest;
    manifest.tensors.push_back(MakeTensor("x", dtype, {3}));
    const auto file = Export(SafetensorsExporter(), manifest);
    ASSERT_TRUE(file.ok()) << file.status();
    const Json header = Header(*file);
    EXPECT_EQ(*header.Find("x")->Find("dtype")->AsString(), name);
    EXPECT_EQ(file->substr(8 + HeaderSize(*file)),
              Payload(0, manifest.tensors[0].byte_size));
  }
}

TEST(SafetensorsTest, AHeaderThatReadersRefuseIsNotWritten) {
  Manifest manifest;
  for (char c : {'a', 'b'}) {
    manifest.tensors.push_back(
        MakeTensor(std::string(50'000'000, c), DType::kU8, {1}));
  }
  const absl::Status status = SafetensorsExporter().Layout(manifest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("100000000"));
}

TEST(SafetensorsTest, SizesThatOverflowAreRefused) {
  Manifest manifest;
  for (int i = 0; i < 9; ++i) {
    manifest.tensors.push_back(
        MakeTensor(std::to_string(i), DType::kU8, {(int64_t{1} << 61) - 1}));
  }
  EXPECT_EQ(SafetensorsExporter().Layout(manifest).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace monoquant
