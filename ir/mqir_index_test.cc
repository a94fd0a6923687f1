// Hostile indexes: well-formed, with the right checksums, and lying.

#include "ir/mqir_index.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "flatbuffers/flatbuffers.h"
#include "gtest/gtest.h"
#include "ir/mqir_testing.h"
#include "ir/schema/mqir_generated.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

// Two tensors of 64 bytes in this file and one in another.
MqirIndex MakeIndex() {
  MqirIndex index;
  for (const char* name : {"a", "b", "c"}) {
    TensorInfo& tensor = index.checkpoint.tensors.emplace_back();
    tensor.name = name;
    tensor.dtype = DType::kF32;
    tensor.shape = {16};
    tensor.byte_size = 64;
  }
  index.tensor_extents = {0, 1, 2};
  // The index takes less than 960 bytes.
  index.extents = {{1024, 64, 0, 0}, {1088, 64, 0, 0}, {7, 64, 0, 1}};
  index.sources = {{"model.pt", 100, "torch"}};
  index.checkpoint.metadata = {{"a", "1"}, {"b", "2"}};
  return index;
}

constexpr uint64_t kFileSize = 1152;

absl::Status Decode(absl::Span<const uint8_t> bytes) {
  const MqirHeader header = {.file_size = kFileSize,
                             .index_size = bytes.size()};
  return DecodeMqirIndex(bytes, header, "m").status();
}

TEST(MqirIndexTest, TheUndamagedOneIsFine) {
  EXPECT_TRUE(Decode(EncodeMqirIndex(MakeIndex())).ok())
      << Decode(EncodeMqirIndex(MakeIndex()));
}

TEST(MqirIndexTest, Lies) {
  using Code = absl::StatusCode;
  const struct {
    std::function<void(MqirIndex&)> damage;
    Code code;
    const char* message;
  } cases[] = {
      // Extents.
      {[](auto& i) { i.extents[1].offset = 1024; }, Code::kDataLoss,
       "m: the index has extents that overlap at offset 1024"},
      {[](auto& i) { i.extents[0].size = 65; }, Code::kDataLoss,
       "overlap at offset 1088"},
      {[](auto& i) { i.extents[1].offset = 1056; }, Code::kDataLoss,
       "1056, which is no multiple of 64"},
      {[](auto& i) { i.extents[1].offset = 1152; }, Code::kDataLoss,
       "beyond the end of its file at 1152"},
      {[](auto& i) { i.extents[1].offset = UINT64_MAX - 63; }, Code::kDataLoss,
       "beyond the end of its file"},
      {[](auto& i) { i.extents[1].size = UINT64_MAX; }, Code::kDataLoss,
       "beyond the end of its file"},
      {[](auto& i) { i.extents[1].size = UINT64_MAX - 1087; }, Code::kDataLoss,
       "beyond the end of its file"},
      {[](auto& i) { i.extents[0].offset = 0; }, Code::kDataLoss,
       "begins at offset 0, the payload at"},
      {[](auto& i) { i.extents[1].size = 60; }, Code::kDataLoss,
       "accounts for the bytes up to 1148, but the file has 1152"},
      {[](auto& i) { i.extents[2].offset = 37; }, Code::kDataLoss,
       "beyond the end of its file at 100"},
      {[](auto& i) { i.extents[2].source = 2; }, Code::kDataLoss,
       "number 2 is in file 2 of 1"},
      {[](auto& i) { i.extents.push_back({1152, 0, 0, 0}); }, Code::kDataLoss,
       "has extent 3, which no tensor uses"},
      {[](auto& i) { i.tensor_extents[2] = 3; }, Code::kDataLoss,
       "places tensor 'c' in extent 3 of 3"},
      // Tensors.
      {[](auto& i) { i.checkpoint.tensors[1].name = "a"; }, Code::kDataLoss,
       "m: tensor 'a': the name occurs twice"},
      {[](auto& i) { i.checkpoint.tensors[1].name = "\xC0"; }, Code::kDataLoss,
       "a tensor name that is not UTF-8"},
      {[](auto& i) { i.checkpoint.tensors[1].shape = {17}; }, Code::kDataLoss,
       "m: tensor 'b': has 64 bytes, but F32 [17] needs 68"},
      {[](auto& i) { i.checkpoint.tensors[1].shape = {-16}; }, Code::kDataLoss,
       "negative"},
      {[](auto& i) { i.checkpoint.tensors[1].shape = Shape(65, 1); },
       Code::kDataLoss, "65 dimensions"},
      {[](auto& i) { i.checkpoint.tensors[1].shape = {INT64_MAX, 2}; },
       Code::kDataLoss, "2^63-1 elements"},
      {[](auto& i) { i.checkpoint.tensors[1].dtype = static_cast<DType>(48); },
       Code::kUnimplemented,
       "m: the index uses dtype number 48, which this monoquant does not know; "
       "update monoquant"},
      // A tie must be one of equal tensors.
      {[](auto& i) {
         i.tensor_extents = {0, 1, 1};
         i.extents.pop_back();
         i.checkpoint.tensors[2].shape = {4, 4};
       },
       Code::kDataLoss, "m: tensor 'c': F32 [4, 4] is tied to 'b'"},
      // Other files.
      {[](auto& i) { i.sources[0].file = "../model.pt"; }, Code::kDataLoss,
       "such a path is not followed"},
      {[](auto& i) { i.sources[0].file = "/etc/passwd"; }, Code::kDataLoss,
       "such a path is not followed"},
      {[](auto& i) { i.sources[0].file = ".."; }, Code::kDataLoss,
       "such a path is not followed"},
      {[](auto& i) { i.sources[0].file = "C:x"; }, Code::kDataLoss,
       "such a path is not followed"},
      {[](auto& i) { i.sources[0].file = "a\\b"; }, Code::kDataLoss,
       "such a path is not followed"},
      {[](auto& i) { i.sources[0].file = std::string("a\0b", 3); },
       Code::kDataLoss, "such a path is not followed"},
      // Metadata.
      {[](auto& i) { i.checkpoint.metadata[1].first = "a"; }, Code::kDataLoss,
       "the metadata key 'a' twice or out of order"},
      {[](auto& i) { i.checkpoint.metadata[0].second = "\xFF"; },
       Code::kDataLoss, "a metadata value that is not UTF-8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    MqirIndex index = MakeIndex();
    c.damage(index);
    ExpectError(Decode(EncodeMqirIndex(index)), c.code, c.message);
  }
}

// The same for the record, which the encoder would not write: built by hand.
TEST(MqirIndexTest, LiesInTheRecord) {
  struct Fields {
    uint32_t codes = 0;
    uint8_t dtype = static_cast<uint8_t>(DType::kF32);
    uint8_t format = 0;
    uint8_t granularity = 0;
    uint8_t convention = 0;
    uint8_t scale_dtype = static_cast<uint8_t>(DType::kF32);
    int32_t axis = 0;
    uint32_t scale = 1;
    uint32_t zero_point = 2;
    const char* version = "1";
    const char* recipe = "{}";
  };
  const struct {
    std::function<void(Fields&)> damage;
    absl::StatusCode code;
    const char* message;
  } cases[] = {
      {[](Fields&) {}, absl::StatusCode::kOk, ""},
      {[](Fields& f) { f.codes = 3; }, absl::StatusCode::kDataLoss,
       "quantizes tensor 3 of 3"},
      {[](Fields& f) { f.scale = 0xFFFFFFFE; }, absl::StatusCode::kDataLoss,
       "quantizes tensor 4294967294 of 3"},
      {[](Fields& f) { f.scale = 0xFFFFFFFF; }, absl::StatusCode::kDataLoss,
       "the file has no tensor ''"},
      {[](Fields& f) { f.zero_point = 0xFFFFFFFF; },
       absl::StatusCode::kDataLoss, "the file has no tensor ''"},
      {[](Fields& f) { f.dtype = 200; }, absl::StatusCode::kUnimplemented,
       "dtype number 200"},
      {[](Fields& f) { f.dtype = static_cast<uint8_t>(DType::kI8); },
       absl::StatusCode::kDataLoss, "which cannot be quantized"},
      {[](Fields& f) { f.format = kNumNumberFormats; },
       absl::StatusCode::kUnimplemented, "number format number "},
      {[](Fields& f) { f.granularity = 4; }, absl::StatusCode::kUnimplemented,
       "granularity number 4"},
      {[](Fields& f) { f.convention = 2; }, absl::StatusCode::kUnimplemented,
       "convention number 2"},
      {[](Fields& f) { f.scale_dtype = 200; }, absl::StatusCode::kUnimplemented,
       "dtype number 200"},
      {[](Fields& f) { f.scale_dtype = static_cast<uint8_t>(DType::kI8); },
       absl::StatusCode::kUnimplemented, "dtype of scales number 2"},
      {[](Fields& f) { f.scale_dtype = static_cast<uint8_t>(DType::kF8E8M0); },
       absl::StatusCode::kUnimplemented, "dtype of scales number 20"},
      {[](Fields& f) { f.scale_dtype = static_cast<uint8_t>(DType::kBF16); },
       absl::StatusCode::kDataLoss, "are F32, expected BF16"},
      {[](Fields& f) {
         f.granularity = 1;
         f.axis = -1;
       },
       absl::StatusCode::kDataLoss, "axis -1 is out of range"},
      {[](Fields& f) { f.granularity = 2; }, absl::StatusCode::kDataLoss,
       "group size 0"},
      {[](Fields& f) { f.version = ""; }, absl::StatusCode::kDataLoss,
       "empty version"},
      {[](Fields& f) { f.version = nullptr; }, absl::StatusCode::kDataLoss,
       "quantization but no provenance"},
      {[](Fields& f) { f.recipe = "{"; }, absl::StatusCode::kDataLoss,
       "no JSON object"},
      {[](Fields& f) { f.recipe = "1"; }, absl::StatusCode::kDataLoss,
       "no JSON object"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.message);
    Fields f;
    c.damage(f);
    flatbuffers::FlatBufferBuilder b;
    std::vector<flatbuffers::Offset<mqir::Tensor>> tensors;
    const std::vector<int64_t> matrix = {8, 8};
    const auto codes_shape = b.CreateVector(matrix);
    const std::pair<const char*, DType> names[] = {
        {"w", DType::kI8}, {"w.scale", DType::kF32}, {"w.zero", DType::kI8}};
    for (uint32_t i = 0; i < 3; ++i) {
      const auto name = b.CreateString(names[i].first);
      mqir::TensorBuilder tensor(b);
      tensor.add_name(name);
      tensor.add_dtype(static_cast<mqir::DType>(names[i].second));
      if (i == 0) tensor.add_shape(codes_shape);
      tensor.add_extent(i);
      tensors.push_back(tensor.Finish());
    }
    const auto tensor_vector = b.CreateVector(tensors);
    const std::vector<mqir::Extent> extents = {mqir::Extent(1024, 64, 0, 0),
                                               mqir::Extent(1088, 4, 0, 0),
                                               mqir::Extent(1152, 1, 0, 0)};
    const auto extent_vector = b.CreateVectorOfStructs(extents);
    mqir::QuantizedTensorBuilder q(b);
    q.add_codes(f.codes);
    q.add_dtype(static_cast<mqir::DType>(f.dtype));
    q.add_shape(codes_shape);
    q.add_format(static_cast<mqir::NumberFormat>(f.format));
    q.add_granularity(static_cast<mqir::Granularity>(f.granularity));
    q.add_convention(static_cast<mqir::Convention>(f.convention));
    q.add_scale_dtype(static_cast<mqir::DType>(f.scale_dtype));
    q.add_axis(f.axis);
    q.add_scale(f.scale);
    q.add_zero_point(f.zero_point);
    const auto entry = q.Finish();
    const auto entries = b.CreateVector(&entry, 1);
    const auto recipe = b.CreateString(f.recipe);
    const auto quantization = mqir::CreateQuantization(b, recipe, entries);
    flatbuffers::Offset<mqir::Provenance> provenance = 0;
    if (f.version != nullptr) {
      const auto version = b.CreateString(f.version);
      provenance = mqir::CreateProvenance(b, version);
    }
    mqir::IndexBuilder root(b);
    root.add_tensors(tensor_vector);
    root.add_extents(extent_vector);
    root.add_provenance(provenance);
    root.add_quantization(quantization);
    mqir::FinishIndexBuffer(b, root.Finish());

    const std::vector<uint8_t> bytes(b.GetBufferPointer(),
                                     b.GetBufferPointer() + b.GetSize());
    const MqirHeader header = {.file_size = 1153, .index_size = bytes.size()};
    const absl::Status status = DecodeMqirIndex(bytes, header, "m").status();
    if (c.code == absl::StatusCode::kOk) {
      EXPECT_TRUE(status.ok()) << status;
    } else {
      ExpectError(status, c.code, c.message);
    }
  }
}

// One long text, named a thousand times: a small file must not unfold into
// a large index.
TEST(MqirIndexTest, RepeatedReferences) {
  flatbuffers::FlatBufferBuilder b;
  const auto name = b.CreateString(std::string(10000, 'x'));
  std::vector<flatbuffers::Offset<mqir::KeyValue>> entries;
  const auto entry = mqir::CreateKeyValue(b, name, name);
  entries.assign(1000, entry);
  const auto metadata = b.CreateVector(entries);
  mqir::IndexBuilder root(b);
  root.add_metadata(metadata);
  mqir::FinishIndexBuffer(b, root.Finish());
  const std::vector<uint8_t> bytes(b.GetBufferPointer(),
                                   b.GetBufferPointer() + b.GetSize());
  MqirHeader header = {.index_size = bytes.size()};
  ASSERT_TRUE(MqirPayloadStart(bytes.size(), &header.file_size));
  ExpectError(DecodeMqirIndex(bytes, header, "m"), absl::StatusCode::kDataLoss,
              "refers to the same bytes repeatedly");
}

// A FlatBuffer with any byte changed, behind a right checksum, is refused or
// accepted, but never read out of bounds (the sanitizers watch).
TEST(MqirIndexTest, AnyByteMayChange) {
  const std::vector<uint8_t> bytes = EncodeMqirIndex(MakeIndex());
  ASSERT_TRUE(Decode(bytes).ok());
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int value : {0, 1, 0x7F, 0x80, 0xFF}) {
      std::vector<uint8_t> changed = bytes;
      changed[i] = static_cast<uint8_t>(value);
      Decode(changed).IgnoreError();
    }
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<uint8_t> cut(bytes.begin(),
                                   bytes.begin() + static_cast<long>(size));
    Decode(cut).IgnoreError();
  }
}

// The schema repeats the enumerators of the C++ headers.
TEST(MqirIndexTest, EnumsAgree) {
  ASSERT_EQ(static_cast<int>(mqir::DType::MAX) + 1, kNumDTypes);
  for (const DTypeInfo& info : AllDTypes()) {
    EXPECT_EQ(mqir::EnumNameDType(static_cast<mqir::DType>(info.dtype)),
              info.name);
  }
  ASSERT_EQ(static_cast<int>(mqir::NumberFormat::MAX) + 1, kNumNumberFormats);
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::UINT4),
            static_cast<int>(NumberFormat::kUInt4));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::BF16),
            static_cast<int>(NumberFormat::kBf16));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::FP8_E4M3),
            static_cast<int>(NumberFormat::kFp8E4M3));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::FP8_E5M2),
            static_cast<int>(NumberFormat::kFp8E5M2));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::NF4),
            static_cast<int>(NumberFormat::kNf4));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::FP4),
            static_cast<int>(NumberFormat::kFp4));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::FP4_E2M1),
            static_cast<int>(NumberFormat::kFp4E2M1));
  EXPECT_EQ(static_cast<int>(mqir::NumberFormat::LLM_INT8),
            static_cast<int>(NumberFormat::kLlmInt8));
  EXPECT_EQ(static_cast<int>(mqir::Granularity::GROUP),
            static_cast<int>(Granularity::kGroup));
  EXPECT_EQ(static_cast<int>(mqir::Convention::COMPRESSED_TENSORS),
            static_cast<int>(Convention::kCompressedTensors));
  EXPECT_EQ(static_cast<int>(mqir::Storage::GPTQ_V2),
            static_cast<int>(QuantStorage::kGptqV2));
  EXPECT_EQ(static_cast<int>(mqir::Storage::BITSANDBYTES_NESTED),
            static_cast<int>(QuantStorage::kBitsandbytesNested));
  EXPECT_EQ(static_cast<int>(mqir::Storage::TORCHAO_BLOCKS),
            static_cast<int>(QuantStorage::kTorchaoBlocks));
  EXPECT_EQ(static_cast<int>(mqir::Storage::TORCH_QUANTIZED),
            static_cast<int>(QuantStorage::kTorchQuantized));
}

TEST(MqirIndexTest, BareFileNames) {
  for (const char* name : {"model.pt", "..model", "a b", "model..pt", ".x"}) {
    EXPECT_TRUE(IsBareFileName(name)) << name;
  }
  for (const char* name : {"", ".", "..", "/", "a/b", "a\\b", "c:", "a/"}) {
    EXPECT_FALSE(IsBareFileName(name)) << name;
  }
}

}  // namespace
}  // namespace monoquant
