// Guards: what lies in which file; that codes stay with their parameters and
// ties with each other; that each shard is complete by itself; the names and
// the index of the files.

#include "exporters/shards.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "exporters/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_record.h"

namespace monoquant {
namespace {

using ::monoquant::testing::AddTie;
using ::monoquant::testing::MakeTensor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Manifest Bytes(const std::vector<int64_t>& sizes) {
  Manifest manifest;
  for (size_t i = 0; i < sizes.size(); ++i) {
    manifest.tensors.push_back(
        MakeTensor("t" + std::to_string(i), DType::kU8, {sizes[i]}));
  }
  return manifest;
}

// Codes of 100 bytes with a scale of 40 and a zero point of 1.
void AddQuantized(Manifest& manifest, const std::string& name) {
  manifest.tensors.push_back(MakeTensor(name, DType::kI8, {10, 10}));
  manifest.tensors.push_back(MakeTensor(name + ".scale", DType::kF32, {10}));
  manifest.tensors.push_back(MakeTensor(name + ".zero_point", DType::kI8, {}));
  QuantizedTensor tensor;
  tensor.name = name;
  tensor.shape = {10, 10};
  tensor.scale = name + ".scale";
  tensor.zero_point = name + ".zero_point";
  manifest.record.version = "1.2.3";
  manifest.record.source_name = "m";
  manifest.record.recipe = "{}";
  manifest.record.tensors.push_back(tensor);
}

std::vector<std::vector<size_t>> Outputs(const std::vector<Shard>& shards) {
  std::vector<std::vector<size_t>> outputs;
  for (const Shard& shard : shards) outputs.push_back(shard.outputs);
  return outputs;
}

std::vector<std::vector<size_t>> BySize(const Manifest& manifest,
                                        uint64_t max_bytes) {
  const auto shards = ShardBySize(manifest, max_bytes);
  EXPECT_TRUE(shards.ok()) << shards.status();
  for (const Shard& shard : *shards) {
    uint64_t bytes = 0;
    for (const OutputTensor& tensor : shard.manifest.tensors) {
      if (tensor.tie == kNoTie) bytes += tensor.byte_size;
    }
    EXPECT_EQ(shard.payload_bytes, bytes);
  }
  return Outputs(*shards);
}

TEST(ShardsTest, FillsInOrder) {
  const Manifest manifest = Bytes({40, 60, 1, 99, 250, 0, 30});
  EXPECT_THAT(BySize(manifest, 100),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4),
                          ElementsAre(5, 6)));
  EXPECT_THAT(BySize(manifest, 480),
              ElementsAre(ElementsAre(0, 1, 2, 3, 4, 5, 6)));
  EXPECT_THAT(BySize(manifest, 1).size(), 6u);
  EXPECT_THAT(BySize(manifest, UINT64_MAX).size(), 1u);
  EXPECT_THAT(BySize(Manifest(), 1), ElementsAre(IsEmpty()));
}

TEST(ShardsTest, ParametersStayWithTheirCodes) {
  Manifest manifest;
  AddQuantized(manifest, "a");
  manifest.tensors.push_back(MakeTensor("b", DType::kU8, {59}));
  AddQuantized(manifest, "c");
  EXPECT_THAT(BySize(manifest, 200),
              ElementsAre(ElementsAre(0, 1, 2, 3), ElementsAre(4, 5, 6)));
  EXPECT_THAT(
      BySize(manifest, 199),
      ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3), ElementsAre(4, 5, 6)));
  EXPECT_THAT(
      BySize(manifest, 50),
      ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3), ElementsAre(4, 5, 6)));
}

TEST(ShardsTest, TiedTensorsStayTogether) {
  Manifest manifest = Bytes({60, 60, 60});
  AddTie(manifest, "tie", 0);
  const auto shards = ShardBySize(manifest, 60);
  ASSERT_TRUE(shards.ok());
  EXPECT_THAT(Outputs(*shards),
              ElementsAre(ElementsAre(0, 3), ElementsAre(1), ElementsAre(2)));
  const Shard& first = (*shards)[0];
  EXPECT_EQ(first.manifest.tensors[1].tie, 0u);
  EXPECT_EQ(first.payload_bytes, 60u);
}

// A tied tensor brings its own names for shared parameters.
TEST(ShardsTest, TiesOfQuantizedTensors) {
  Manifest manifest = Bytes({1});
  AddQuantized(manifest, "a");
  for (const char* suffix : {"", ".scale", ".zero_point"}) {
    AddTie(manifest, std::string("z") + suffix, manifest.tensors.size() - 3);
  }
  QuantizedTensor tied = manifest.record.tensors[0];
  tied.name = "z";
  tied.scale = "z.scale";
  tied.zero_point = "z.zero_point";
  manifest.record.tensors.push_back(tied);
  const std::vector<Shard> shards =
      ShardByGroup(manifest, {0, 1, 2, 3, 4, 5, 6});
  EXPECT_THAT(Outputs(shards),
              ElementsAre(ElementsAre(0), ElementsAre(1, 2, 3, 4, 5, 6)));
  EXPECT_EQ(shards[1].manifest.tensors[5].tie, 2u);
  EXPECT_EQ(shards[1].manifest.record.tensors.size(), 2u);
}

TEST(ShardsTest, EachShardHasTheRecordOfItsOwn) {
  Manifest manifest;
  manifest.metadata = {{"format", "pt"}};
  AddQuantized(manifest, "a");
  AddQuantized(manifest, "b");
  manifest.tensors.push_back(MakeTensor("c", DType::kU8, {1}));
  const std::vector<Shard> shards =
      ShardByGroup(manifest, {0, 0, 0, 1, 1, 1, 2});
  ASSERT_EQ(shards.size(), 3u);
  const std::vector<std::vector<std::string>> names = {{"a"}, {"b"}, {}};
  for (size_t i = 0; i < shards.size(); ++i) {
    const Manifest& shard = shards[i].manifest;
    EXPECT_EQ(shard.metadata, manifest.metadata);
    EXPECT_EQ(shard.record.version, "1.2.3");
    EXPECT_EQ(shard.record.source_name, "m");
    EXPECT_EQ(shard.record.recipe, "{}");
    std::vector<std::string> recorded;
    for (const QuantizedTensor& tensor : shard.record.tensors) {
      recorded.push_back(tensor.name);
    }
    EXPECT_EQ(recorded, names[i]);
  }
}

TEST(ShardsTest, GroupsWithoutTensorsAreLeftOut) {
  const std::vector<Shard> shards =
      ShardByGroup(Bytes({1, 2, 3, 4}), {7, 2, 7, 9});
  EXPECT_THAT(Outputs(shards),
              ElementsAre(ElementsAre(1), ElementsAre(0, 2), ElementsAre(3)));
  EXPECT_EQ(shards[0].group, 2u);
  EXPECT_EQ(shards[1].group, 7u);
  EXPECT_EQ(shards[2].group, 9u);
}

TEST(ShardsTest, MoreThanReadersAccept) {
  const std::vector<int64_t> sizes(kMaxOutputShards + 1, 1);
  const absl::Status status = ShardBySize(Bytes(sizes), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("would be 10001 files"));
  EXPECT_TRUE(ShardBySize(Bytes(sizes), 2).ok());
}

TEST(ShardsTest, Names) {
  EXPECT_EQ(ShardFileName("model", "safetensors", 0, 1), "model.safetensors");
  EXPECT_EQ(ShardFileName("model", "safetensors", 1, 10),
            "model-00002-of-00010.safetensors");
  EXPECT_EQ(ShardFileName("m", "bin", 9999, 10000), "m-10000-of-10000.bin");
  EXPECT_EQ(ShardIndexFileName("pytorch_model", "bin"),
            "pytorch_model.bin.index.json");
}

TEST(ShardsTest, Index) {
  Manifest manifest = Bytes({40, 60});
  AddTie(manifest, "a tie", 1);
  const std::vector<Shard> shards = ShardByGroup(manifest, {0, 1, 1});
  FileNaming naming;
  EXPECT_EQ(ShardIndexToJson(shards, {"1.x", "2.x"}, naming),
            "{\n"
            "  \"metadata\": {\n"
            "    \"total_size\": 100\n"
            "  },\n"
            "  \"weight_map\": {\n"
            "    \"t0\": \"1.x\",\n"
            "    \"t1\": \"2.x\"\n"
            "  }\n"
            "}\n");
  naming.lists_ties = true;
  EXPECT_THAT(ShardIndexToJson(shards, {"1.x", "2.x"}, naming),
              HasSubstr("\"a tie\": \"2.x\",\n    \"t0\""));
}

}  // namespace
}  // namespace monoquant
