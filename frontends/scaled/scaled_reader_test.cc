// Guards: FP8 weights with scales as floats: their values, any range of them,
// what is listed, ties; that opening reads nothing; and what is left alone.

#include "frontends/scaled/scaled_reader.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/read_range.h"
#include "frontends/scaled/block_size.h"
#include "frontends/tensors/narrow_floats.h"
#include "frontends/testing/read_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::BytesOf;
using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ReadTensor;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

// Tensors in memory.
class FakeReader : public CheckpointReader {
 public:
  FakeReader() { index_.path = "m"; }

  FakeReader& Add(absl::string_view name, DType dtype, Shape shape,
                  std::string bytes, size_t tie = kNoTie) {
    TensorInfo info;
    info.name = std::string(name);
    info.dtype = dtype;
    info.byte_size = bytes.size();
    info.shape = std::move(shape);
    info.tie = tie;
    index_.tensors.push_back(std::move(info));
    bytes_.push_back(std::move(bytes));
    return *this;
  }

  CheckpointIndex& mutable_index() { return index_; }
  const CheckpointIndex& index() const override { return index_; }

  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override {
    ++*reads_;
    const auto begin = CheckReadRange(index_, tensor, first, count, dst.size());
    if (!begin.ok()) return begin.status();
    std::memcpy(dst.data(), bytes_[tensor].data() + *begin, dst.size());
    return absl::OkStatus();
  }

  std::optional<FileExtent> Locate(size_t tensor) const override {
    return FileExtent{"f", tensor, 1};
  }

  std::shared_ptr<int> reads() const { return reads_; }

 private:
  CheckpointIndex index_;
  std::vector<std::string> bytes_;
  std::shared_ptr<int> reads_ = std::make_shared<int>(0);
};

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;

Opened Apply(const FakeReader& reader, absl::string_view config = {}) {
  std::vector<std::pair<std::string, std::string>> files = {{"m", ""}};
  if (!config.empty()) files.emplace_back("config.json", config);
  return ApplyScales(std::make_unique<FakeReader>(reader),
                     InMemoryFiles("m", std::move(files)));
}

// Every code of a row of 8 bits, again and again.
std::string Codes(size_t size) {
  std::string codes;
  for (size_t i = 0; i < size; ++i) {
    // No NaN, which would be equal to nothing.
    codes.push_back(static_cast<char>(i * 37 % 0x7F));
  }
  return codes;
}

TEST(ScaledReaderTest, BlocksOfAnySizeAndAnyRange) {
  const int64_t rows = 11;
  const int64_t columns = 13;
  const std::string codes = Codes(11 * 13);
  // Blocks of 4 x 8: 3 x 2 scales.
  const std::vector<float> scales = {0.1f, 2.5f, -3.3f, 1e-30f, 7.0f, 0.7f};
  FakeReader fake;
  fake.Add("a.weight", DType::kF8E4M3, {rows, columns}, codes);
  fake.Add("a.weight_scale_inv", DType::kF32, {3, 2}, BytesOf(scales));
  fake.Add("a.bias", DType::kF32, {1}, BytesOf<float>({1.5f}));
  const Opened reader = Apply(fake);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*fake.reads(), 0);
  const CheckpointIndex& index = (*reader)->index();
  ASSERT_EQ(index.tensors.size(), 2);
  EXPECT_EQ(index.tensors[0].name, "a.weight");
  EXPECT_EQ(index.tensors[0].dtype, DType::kF32);
  EXPECT_EQ(index.tensors[0].shape, (Shape{rows, columns}));
  EXPECT_EQ(index.tensors[0].byte_size, 11 * 13 * 4);
  EXPECT_EQ(index.tensors[1].name, "a.bias");
  EXPECT_THAT(index.notes,
              ElementsAre("weights that are 8-bit floats with scales, read as "
                          "F32 (1): 'a.weight' (F8_E4M3, scales [3, 2])"));
  EXPECT_FALSE((*reader)->Locate(0).has_value());
  EXPECT_EQ((*reader)->Locate(1)->offset, 2);
  EXPECT_FALSE((*reader)->Locate(2).has_value());
  EXPECT_EQ(*ReadTensor(**reader, 1), BytesOf<float>({1.5f}));

  std::vector<float> expected;
  const auto& values = *Float8Values(DType::kF8E4M3);
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t block = i / 13 / 4 * 2 + i % 13 / 8;
    expected.push_back(values[static_cast<uint8_t>(codes[i])] * scales[block]);
  }
  const std::string bytes = BytesOf(expected);
  for (uint64_t first = 0; first <= codes.size(); ++first) {
    for (uint64_t count : {uint64_t{0}, uint64_t{1}, uint64_t{5}, uint64_t{14},
                           codes.size() - first}) {
      if (count > codes.size() - first) continue;
      std::vector<uint8_t> part(4 * count);
      ASSERT_TRUE((*reader)->Read(0, first, count, absl::MakeSpan(part)).ok());
      ASSERT_EQ(std::string(part.begin(), part.end()),
                bytes.substr(4 * first, 4 * count));
    }
  }
  uint8_t four[4];
  ExpectError((*reader)->Read(0, 143, 1, absl::MakeSpan(four)),
              absl::StatusCode::kInvalidArgument, "m: tensor 'a.weight'");
}

TEST(ScaledReaderTest, ScalesOfAllTypes) {
  // 0x38 is 1 as F8_E4M3, 0x3C is 1 as F8_E5M2.
  FakeReader fake;
  fake.Add("a", DType::kF8E4M3, {1}, "\x38");
  fake.Add("a_scale", DType::kBF16, {}, "\x40\x40");
  fake.Add("b", DType::kF8E5M2, {1}, "\x3C");
  fake.Add("b_scale_inv", DType::kF16, {1}, std::string("\x00\x42", 2));
  fake.Add("c", DType::kF8E4M3FNUZ, {1}, "\x40");
  fake.Add("c_scale", DType::kF8E8M0, {1}, "\x81");
  const Opened reader = Apply(fake);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*ReadTensor(**reader, 0), BytesOf<float>({3}));
  EXPECT_EQ(*ReadTensor(**reader, 1), BytesOf<float>({3}));
  EXPECT_EQ(*ReadTensor(**reader, 2), BytesOf<float>({4}));
}

TEST(ScaledReaderTest, TheConfiguredBlockDecides) {
  FakeReader fake;
  fake.Add("a", DType::kF8E4M3, {1, 8}, std::string(8, '\x38'));
  fake.Add("a_scale_inv", DType::kF32, {1, 2}, BytesOf<float>({1, 2}));
  EXPECT_EQ(*ReadTensor(**Apply(fake), 0),
            BytesOf<float>({1, 1, 1, 1, 2, 2, 2, 2}));
  const Opened reader =
      Apply(fake, R"({"quantization_config":{"weight_block_size":[1,6]}})");
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ(*ReadTensor(**reader, 0), BytesOf<float>({1, 1, 1, 1, 1, 1, 2, 2}));
  ExpectError(
      Apply(fake, R"({"quantization_config":{"weight_block_size":[1,2]}})"),
      kDataLoss,
      "m: tensor 'a': its scales 'a_scale_inv': scales of [1, 2] do not fit a "
      "weight of [1, 8] in blocks of [1, 2]");
}

TEST(ScaledReaderTest, Configurations) {
  const auto block = [](absl::string_view config) {
    return ConfiguredBlockSize(
        InMemoryFiles("m", {{"config.json", std::string(config)}}));
  };
  EXPECT_THAT(*ConfiguredBlockSize(InMemoryFiles("m", {{"m", ""}})), IsEmpty());
  EXPECT_THAT(*block("{}"), IsEmpty());
  EXPECT_THAT(*block(R"({"quantization_config":{}})"), IsEmpty());
  EXPECT_THAT(*block(R"({"quantization_config":{"weight_block_size":null}})"),
              IsEmpty());
  EXPECT_THAT(
      *block(R"({"quantization_config":{"weight_block_size":[64,128]}})"),
      ElementsAre(64, 128));
  for (const char* bad : {"0", "[]", "[0,1]", "[-1]", "[1.5]", "[\"1\"]"}) {
    ExpectError(block(std::string(R"({"quantization_config":)") +
                      R"({"weight_block_size":)" + bad + "}}"),
                kDataLoss, "weight_block_size is no list");
  }
  ExpectError(block("{"), kDataLoss, "it has the block size of the FP8");
}

TEST(ScaledReaderTest, TiesStayWhereScalesAreTiedToo) {
  const std::string codes = "\x38\x38";
  const std::string scale = BytesOf<float>({2});
  FakeReader fake;
  fake.Add("a", DType::kF8E4M3, {2}, codes);
  fake.Add("a_scale", DType::kF32, {}, scale);
  fake.Add("b", DType::kF8E4M3, {2}, codes, 0);
  fake.Add("b_scale", DType::kF32, {}, scale, 1);
  fake.Add("c", DType::kF8E4M3, {2}, codes, 0);
  fake.Add("c_scale", DType::kF32, {}, BytesOf<float>({3}));
  fake.Add("raw", DType::kF8E4M3, {2}, codes, 0);
  fake.Add("raw again", DType::kF8E4M3, {2}, codes, 0);
  fake.Add("number", DType::kF32, {}, scale, 1);
  const Opened reader = Apply(fake);
  ASSERT_TRUE(reader.ok()) << reader.status();
  std::vector<std::string> names;
  std::vector<size_t> ties;
  for (const TensorInfo& info : (*reader)->index().tensors) {
    names.push_back(info.name);
    ties.push_back(info.tie);
  }
  EXPECT_THAT(names, ElementsAre("a", "b", "c", "raw", "raw again", "number"));
  EXPECT_THAT(ties, ElementsAre(kNoTie, 0, kNoTie, kNoTie, 3, kNoTie));
  EXPECT_EQ(*ReadTensor(**reader, 2), BytesOf<float>({3, 3}));
  EXPECT_EQ(*ReadTensor(**reader, 3), codes);
}

TEST(ScaledReaderTest, WhatIsLeftAlone) {
  FakeReader plain;
  plain.Add("a.weight", DType::kF8E4M3, {1}, "\x38");
  const Opened unscaled = Apply(plain);
  ASSERT_TRUE(unscaled.ok()) << unscaled.status();
  EXPECT_EQ((*unscaled)->index().tensors[0].dtype, DType::kF8E4M3);
  EXPECT_THAT((*unscaled)->index().notes, IsEmpty());
  // What monoquant wrote says itself what it is.
  FakeReader own;
  own.Add("a", DType::kF8E4M3, {1}, "\x38");
  own.Add("a_scale", DType::kF32, {}, BytesOf<float>({2}));
  own.mutable_index().quant.version = "1";
  const Opened recorded = Apply(own);
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_EQ((*recorded)->index().tensors.size(), 2);
}

// Of a checkpoint that another program quantized, what its record describes
// stays codes, and the rest is read as floats.
TEST(ScaledReaderTest, BesideARecord) {
  FakeReader fake;
  fake.Add("a.weight", DType::kF8E4M3, {2, 1}, "\x38\x38");
  fake.Add("a.weight_scale", DType::kF32, {2, 1}, BytesOf<float>({2, 3}));
  fake.Add("b.weight", DType::kF8E4M3, {1, 2}, "\x38\x38");
  fake.Add("b.weight_scale", DType::kF32, {1, 2}, BytesOf<float>({2, 3}));
  QuantizedTensor recorded;
  recorded.name = "a.weight";
  recorded.scheme.format = NumberFormat::kFp8E4M3;
  recorded.shape = {2, 1};
  recorded.scale = "a.weight_scale";
  recorded.storage = QuantStorage::kCompressedTensors;
  fake.mutable_index().quant.tensors = {recorded};
  const Opened reader = Apply(fake);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  ASSERT_EQ(index.tensors.size(), 3u);
  EXPECT_EQ(index.tensors[0].dtype, DType::kF8E4M3);
  EXPECT_EQ(index.tensors[1].name, "a.weight_scale");
  EXPECT_EQ(index.tensors[2].dtype, DType::kF32);
  EXPECT_EQ(*ReadTensor(**reader, 2), BytesOf<float>({2, 3}));
  EXPECT_EQ(index.quant.tensors.size(), 1u);
  EXPECT_TRUE(ValidateIndex(index).ok()) << ValidateIndex(index);
}

TEST(ScaledReaderTest, PairsThatMakeNoSense) {
  FakeReader wide;
  wide.Add("a", DType::kF8E4M3, {1}, "\x38");
  wide.Add("a_scale", DType::kF64, {}, BytesOf<double>({2}));
  ExpectError(Apply(wide), kUnimplemented,
              "m: tensor 'a': its scales 'a_scale' are F64, which is not read");
  FakeReader orphan;
  orphan.Add("a_scale_inv", DType::kF32, {}, BytesOf<float>({2}));
  ExpectError(Apply(orphan), kDataLoss, "which is missing");
}

}  // namespace
}  // namespace monoquant
