// Guards: shards and their index, from their bytes to the tensors; which file
// of a directory is meant; and that an index cannot name anything outside of
// its directory.

#include "frontends/sharded/sharded_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/frontend.h"
#include "frontends/testing/corruption.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/read_tensor.h"
#include "frontends/testing/zip_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::ExpectError;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::PickleBuilder;
using testing::ReadTensor;
using testing::ZipBuilder;

constexpr absl::StatusCode kDataLoss = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;
constexpr absl::StatusCode kNotFound = absl::StatusCode::kNotFound;

using Opened = absl::StatusOr<std::unique_ptr<CheckpointReader>>;
using Files = std::vector<std::pair<std::string, std::string>>;

// A safetensors file with this header and data.
std::string File(absl::string_view json, absl::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes.push_back(static_cast<char>(uint64_t{json.size()} >> (8 * i)));
  }
  return absl::StrCat(bytes, json, data);
}

// One shard with the U8 tensors `names`, a byte each.
std::string Shard(const std::vector<std::string>& names,
                  absl::string_view metadata = R"("format":"pt")") {
  std::string json = absl::StrCat(R"({"__metadata__":{)", metadata, "}");
  std::string data;
  for (const std::string& name : names) {
    absl::StrAppend(&json, ",\"", name,
                    R"(":{"dtype":"U8","shape":[],"data_offsets":[)",
                    data.size(), ",", data.size() + 1, "]}");
    data.push_back(name[0]);
  }
  return File(json + "}", data);
}

constexpr absl::string_view kIndex =
    R"({"metadata":{"total_size":3},"weight_map":)"
    R"({"c":"2.safetensors","a":"1.safetensors","b":"1.safetensors"}})";

Files GoodShards() {
  return {{"m.safetensors.index.json", std::string(kIndex)},
          {"1.safetensors", Shard({"b", "a"})},
          {"2.safetensors", Shard({"c", "x"})}};
}

Opened OpenDirectory(Files files) {
  return OpenCheckpoint(InMemoryFiles("dir", std::move(files)));
}

TEST(SafetensorsShardsTest, ReadsShards) {
  const Opened by_directory = OpenDirectory(GoodShards());
  const CheckpointFiles by_index_files =
      InMemoryFiles("dir/m.safetensors.index.json", GoodShards());
  EXPECT_TRUE(*IsSharded(by_index_files));
  const Opened by_index = OpenCheckpoint(by_index_files);
  for (const Opened* reader : {&by_directory, &by_index}) {
    ASSERT_TRUE(reader->ok()) << reader->status();
    const CheckpointIndex& index = (**reader)->index();
    EXPECT_EQ(index.container, "safetensors-sharded");
    ASSERT_EQ(index.tensors.size(), 3);
    // By shard, then by offset.
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(index.tensors[i].name, std::string(1, "bac"[i]));
      EXPECT_EQ(*ReadTensor(***reader, i), std::string(1, "bac"[i]));
    }
    EXPECT_EQ((**reader)->Locate(2)->file, "2.safetensors");
    EXPECT_THAT(index.metadata, ElementsAre(Pair("format", "pt")));
    EXPECT_THAT(index.notes,
                ElementsAre("tensors that the index does not map are left out: "
                            "'x' (2.safetensors)"));
  }
}

TEST(SafetensorsShardsTest, OnlyOneFile) {
  const Opened reader =
      OpenDirectory({{"config.json", "{}"}, {"m.safetensors", Shard({"a"})}});
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().container, "safetensors");
  EXPECT_EQ((*reader)->index().path, "dir");
}

TEST(SafetensorsShardsTest, AmbiguousDirectories) {
  Files files = GoodShards();
  files[0].first = "notes.txt";
  ExpectError(OpenDirectory(files), kUnimplemented,
              "dir: this directory has several safetensors files but no index "
              "(*.safetensors.index.json): '1.safetensors', '2.safetensors'; "
              "name one of them");
  files = GoodShards();
  files.push_back({"m.fp16.safetensors.index.json", std::string(kIndex)});
  ExpectError(OpenDirectory(files), kUnimplemented,
              "several indexes: 'm.fp16.safetensors.index.json', "
              "'m.safetensors.index.json'; name one of them");
  // The same weights as pickles beside them do not matter.
  files = GoodShards();
  files.push_back({"pytorch_model.bin.index.json", "{}"});
  EXPECT_TRUE(OpenDirectory(files).ok());
}

TEST(SafetensorsShardsTest, IndexesOfVariants) {
  // The only index may be that of a variant; it does not matter beside another.
  const std::string variant = "m.safetensors.index.fp16.json";
  Files files = GoodShards();
  files[0].first = variant;
  EXPECT_TRUE(OpenDirectory(files).ok());
  files = GoodShards();
  files.push_back({variant, "{}"});
  EXPECT_TRUE(OpenDirectory(files).ok());
}

TEST(SafetensorsShardsTest, IncompleteShards) {
  Files files = GoodShards();
  files.pop_back();
  ExpectError(OpenDirectory(files), kNotFound,
              "dir/m.safetensors.index.json: shard '2.safetensors' is not in "
              "its directory");
  files = GoodShards();
  files[2].second = Shard({"x"});
  ExpectError(OpenDirectory(files), kDataLoss,
              "not in the shards that it maps them to: 'c' (2.safetensors)");
  // As a clone without Git LFS leaves it.
  files[2].second = "version https://git-lfs.github.com/spec/v1";
  ExpectError(OpenDirectory(files), kUnimplemented,
              "dir/2.safetensors: this file is a Git LFS pointer");
  files[2].second = Shard({"c"}).substr(0, 50);
  ExpectError(OpenDirectory(files), kDataLoss,
              "dir/2.safetensors is truncated");
  files[2].second = "PK\x03\x04 and so on";
  ExpectError(OpenDirectory(files), kUnimplemented,
              "dir/2.safetensors: this file is a zip archive as torch.save");
  // In the wrong shard: 'b' of shard 2 is not the one that is meant.
  files[2].second = Shard({"c", "b"});
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().tensors.size(), 3);
}

TEST(SafetensorsShardsTest, MetadataOfShards) {
  Files files = GoodShards();
  files[2].second = Shard({"c", "x"}, R"("format":"np","k":"v")");
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_THAT((*reader)->index().metadata,
              ElementsAre(Pair("format", "pt"), Pair("k", "v")));
  EXPECT_THAT((*reader)->index().notes[0],
              HasSubstr("metadata 'format' differs between shards"));
}

// torchao's list of tensors, of which each shard has a part, or all.
TEST(SafetensorsShardsTest, ListsOfTorchao) {
  const auto names = [](const std::string& first, const std::string& second) {
    Files files = GoodShards();
    files[1].second =
        Shard({"b", "a"}, absl::StrCat(R"("tensor_names":")", first, R"(")"));
    files[2].second =
        Shard({"c"}, absl::StrCat(R"("tensor_names":")", second, R"(")"));
    const Opened reader = OpenDirectory(files);
    EXPECT_TRUE(reader.ok()) << reader.status();
    const CheckpointIndex& index = (*reader)->index();
    EXPECT_EQ(index.metadata.size(), 1u);
    return absl::StrCat(index.metadata[0].second, " ", index.notes.size());
  };
  const std::string two = R"([\"a\", \"b\"])";
  EXPECT_EQ(names(two, R"([\"c\", \"a\"])"), R"(["a","b","c"] 0)");
  EXPECT_EQ(names(two, two), R"(["a", "b"] 0)");
  // What is no list is no part of one.
  EXPECT_EQ(names("x", two), "x 1");
  EXPECT_EQ(names(two, "x"), R"(["a","b"] 1)");
}

// Each shard is complete by itself and speaks of its own tensors only.
TEST(SafetensorsShardsTest, TiesOfShards) {
  Files files = GoodShards();
  files[1].second =
      Shard({"a", "b"}, R"("monoquant.ties":"{\"d\":\"a\"}","d":"a")");
  files[2].second = Shard({"c"}, R"("monoquant.ties":"{\"e\":\"c\"}")");
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const CheckpointIndex& index = (*reader)->index();
  ASSERT_EQ(index.tensors.size(), 5u);
  EXPECT_EQ(index.tensors[3].name, "d");
  EXPECT_EQ(index.tensors[3].tie, 0u);
  EXPECT_EQ(index.tensors[4].name, "e");
  EXPECT_EQ(index.tensors[4].tie, 2u);
  EXPECT_THAT(index.metadata, IsEmpty());
  files[2].second = Shard({"c"}, R"("monoquant.ties":"{\"d\":\"c\"}")");
  ExpectError(OpenDirectory(files), kDataLoss, "'d'");
  files[2].second = Shard({"c"}, R"("monoquant.ties":"[]")");
  ExpectError(OpenDirectory(files), kDataLoss,
              "dir/2.safetensors: metadata 'monoquant.ties': no object");
}

std::string RecordMetadata(const QuantRecord& record) {
  return absl::StrCat("\"monoquant\":",
                      Json(QuantRecordToJson(record)).ToString());
}

TEST(SafetensorsShardsTest, RecordsOfShards) {
  QuantRecord record;
  record.version = "1.2.3";
  record.source_name = "m";
  Files files = GoodShards();
  files[1].second = Shard({"a", "b"}, RecordMetadata(record));
  files[2].second = Shard({"c"}, RecordMetadata(record));
  Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().quant.source_name, "m");

  QuantizedTensor tensor;
  tensor.name = "c";
  tensor.scheme.format = NumberFormat::kFp16;
  QuantRecord other = record;
  other.tensors.push_back(tensor);
  files[2].second = Shard({"c"}, RecordMetadata(other));
  ExpectError(OpenDirectory(files), kDataLoss, "'c'");
  other.source_name = "n";
  files[2].second = Shard({"c"}, RecordMetadata(other));
  ExpectError(OpenDirectory(files), kDataLoss,
              "dir/2.safetensors: metadata 'monoquant': quantization record: "
              "its source differs");
}

TEST(SafetensorsShardsTest, ShardsAreBareNames) {
  for (const char* shard :
       {"../1.safetensors", "/etc/passwd", "sub/1.safetensors", "..", ".", "",
        "a\\\\b", "C:x", "1\\u0000"}) {
    SCOPED_TRACE(shard);
    Files files = GoodShards();
    files[0].second = absl::StrCat(R"({"weight_map":{"a":")", shard, "\"}}");
    ExpectError(OpenDirectory(files), kDataLoss, "which is no bare file name");
  }
  for (const char* text :
       {"{", "[]", "{}", R"({"weight_map":[]})", R"({"weight_map":{"a":1}})",
        R"({"weight_map":{"a":"x","a":"x"}})"}) {
    SCOPED_TRACE(text);
    Files files = GoodShards();
    files[0].second = text;
    ExpectError(OpenDirectory(files), kDataLoss,
                "dir/m.safetensors.index.json: malformed shard index: ");
  }
}

// torch.save of a dict of U8 tensors, a byte each.
std::string TorchShard(const std::vector<std::string>& names) {
  PickleBuilder pickle;
  pickle.Dict().Mark();
  ZipBuilder zip;
  for (size_t i = 0; i < names.size(); ++i) {
    pickle.Str(names[i]).Tensor("ByteStorage", absl::StrCat(i), 1, 0, {}, {});
  }
  zip.Add("m/data.pkl", pickle.SetItems().Build());
  for (size_t i = 0; i < names.size(); ++i) {
    zip.Add(absl::StrCat("m/data/", i), names[i].substr(0, 1));
  }
  return zip.Build();
}

constexpr absl::string_view kTorchIndex =
    R"({"weight_map":{"c":"2.bin","a":"1.bin","b":"1.bin"}})";

Files GoodTorchShards() {
  return {{"pytorch_model.bin.index.json", std::string(kTorchIndex)},
          {"1.bin", TorchShard({"b", "a"})},
          {"2.bin", TorchShard({"c", "x"})}};
}

TEST(TorchShardsTest, ReadsShards) {
  const Files files = GoodTorchShards();
  const Opened by_directory = OpenDirectory(files);
  const Opened by_index =
      OpenCheckpoint(InMemoryFiles("dir/pytorch_model.bin.index.json", files));
  for (const Opened* reader : {&by_directory, &by_index}) {
    ASSERT_TRUE(reader->ok()) << reader->status();
    const CheckpointIndex& index = (**reader)->index();
    EXPECT_EQ(index.container, "torch-sharded");
    ASSERT_EQ(index.tensors.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(index.tensors[i].name, std::string(1, "bac"[i]));
      EXPECT_EQ(*ReadTensor(***reader, i), std::string(1, "bac"[i]));
    }
    const auto extent = (**reader)->Locate(2);
    ASSERT_TRUE(extent.has_value());
    EXPECT_EQ(extent->file, "2.bin");
    EXPECT_EQ(files[2].second.substr(extent->offset, extent->size), "c");
    EXPECT_FALSE((**reader)->Locate(3).has_value());
    EXPECT_THAT(index.notes,
                ElementsAre("tensors that the index does not map are left out: "
                            "'x' (2.bin)"));
    uint8_t two[2];
    ExpectError((**reader)->Read(0, 0, 2, absl::MakeSpan(two)),
                absl::StatusCode::kInvalidArgument, "tensor 'b'");
  }
}

TEST(TorchShardsTest, TiesWithinAShardAreKept) {
  PickleBuilder pickle;
  pickle.Dict().Mark();
  for (const char* name : {"x", "a", "b"}) {
    pickle.Str(name).Tensor("ByteStorage", "0", 1, 0, {}, {});
  }
  const std::string tied = ZipBuilder()
                               .Add("m/data.pkl", pickle.SetItems().Build())
                               .Add("m/data/0", "t")
                               .Build();
  Files files = GoodTorchShards();
  files[1].second = tied;
  files[2].second = tied;
  files[0].second = R"({"weight_map":{"a":"1.bin","b":"1.bin","x":"2.bin"}})";
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  // What they are tied to in shard 1, "x", comes from shard 2.
  const std::vector<TensorInfo>& tensors = (*reader)->index().tensors;
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[0].tie, kNoTie);
  EXPECT_EQ(tensors[1].name, "b");
  EXPECT_EQ(tensors[1].tie, 0u);
  EXPECT_EQ(tensors[2].name, "x");
  EXPECT_EQ(tensors[2].tie, kNoTie);
}

TEST(TorchShardsTest, OptionsAndNotesOfShards) {
  PickleBuilder pickle;
  pickle.Dict().Mark().Str("ema").Dict().Str("a").Tensor("ByteStorage", "0", 1,
                                                         0, {}, {});
  pickle.Op(PickleOp::kSetItem).Str("epoch").Int(3).SetItems();
  Files files = {{"m.index.json", R"({"weight_map":{"a":"1.bin"}})"},
                 {"1.bin", ZipBuilder()
                               .Add("m/data.pkl", pickle.Build())
                               .Add("m/data/0", "a")
                               .Build()}};
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().root, "ema");
  EXPECT_THAT((*reader)->index().notes,
              ElementsAre(HasSubstr("1.bin: the weights are those in 'ema'")));
  OpenOptions options;
  options.root = "epoch";
  ExpectError(OpenCheckpoint(InMemoryFiles("dir", files), options), kDataLoss,
              "not in the shards that it maps them to: 'a' (1.bin)");
}

TEST(TorchShardsTest, IncompleteShards) {
  Files files = GoodTorchShards();
  files.pop_back();
  ExpectError(OpenDirectory(files), kNotFound,
              "dir/pytorch_model.bin.index.json: shard '2.bin' is not in its "
              "directory");
  files = GoodTorchShards();
  files[2].second = TorchShard({"x"});
  ExpectError(OpenDirectory(files), kDataLoss,
              "dir/pytorch_model.bin.index.json: not in the shards that it "
              "maps them to: 'c' (2.bin)");
  for (const size_t shard : {size_t{1}, size_t{2}}) {
    files = GoodTorchShards();
    files[shard].second = "version https://git-lfs.github.com/spec/v1";
    ExpectError(OpenDirectory(files), kUnimplemented,
                absl::StrCat("dir/", files[shard].first,
                             ": this file is a Git LFS pointer"));
    files[shard].second = GoodTorchShards()[shard].second.substr(0, 50);
    ExpectError(OpenDirectory(files), kDataLoss,
                absl::StrCat("dir/", files[shard].first));
  }
}

TEST(TorchShardsTest, AnIndexCannotNameAnIndex) {
  for (const char* shard : {"a.index.json", "b"}) {
    SCOPED_TRACE(shard);
    const std::string index =
        absl::StrCat(R"({"weight_map":{"a":")", shard, "\"}}");
    ExpectError(OpenDirectory({{"a.index.json", index}, {"b", index}}),
                kDataLoss,
                absl::StrCat("dir/", shard, ": this shard is an index itself"));
  }
}

TEST(CheckpointDirectoryTest, OnlyOneTorchFile) {
  // As a trainer leaves it.
  const Files files = {{"config.json", "{}"},
                       {"optimizer.pt", "x"},
                       {"pytorch_model.bin", TorchShard({"a"})},
                       {"rng_state_0.pth", "x"},
                       {"scheduler.pt", "x"},
                       {"training_args.bin", "x"}};
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().container, "torch");
  EXPECT_EQ((*reader)->index().path, "dir");
  EXPECT_EQ((*reader)->Locate(0)->file, "pytorch_model.bin");
  EXPECT_FALSE(*IsSharded(InMemoryFiles("dir", {{"training_args.bin", "x"}})));
}

TEST(CheckpointDirectoryTest, SafetensorsWin) {
  Files files = GoodTorchShards();
  files.push_back({"m.safetensors", Shard({"z"})});
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->index().container, "safetensors");
}

TEST(CheckpointDirectoryTest, IndexesOfOtherProgramsDoNotCount) {
  Files files = GoodTorchShards();
  files.push_back({"flax_model.msgpack.index.json", "{}"});
  const Opened reader = OpenDirectory(files);
  ASSERT_TRUE(reader.ok()) << reader.status();
  files.push_back({"pytorch_model.fp16.bin.index.json", "{}"});
  ExpectError(OpenDirectory(files), kUnimplemented,
              "dir: this directory has several indexes: "
              "'pytorch_model.bin.index.json', "
              "'pytorch_model.fp16.bin.index.json'; name one of them");
}

TEST(CheckpointDirectoryTest, SeveralTorchFiles) {
  ExpectError(OpenDirectory({{"a.pt", "x"}, {"b.ckpt", "x"}, {"c.txt", "x"}}),
              kUnimplemented,
              "dir: this directory has several checkpoint files but no index "
              "(*.index.json): 'a.pt', 'b.ckpt'; name one of them, or");
  ExpectError(
      OpenDirectory(
          {{"consolidated.00.pth", "x"}, {"consolidated.01.pth", ""}}),
      kUnimplemented,
      "dir: model-parallel shards, of which each holds a part of every tensor, "
      "are not merged: 'consolidated.00.pth', 'consolidated.01.pth'; merge");
}

TEST(TorchShardsTest, OneByteChangedAnywhere) {
  const Files good = GoodTorchShards();
  for (size_t file = 0; file < 2; ++file) {
    testing::ForEachChangedByte(good[file].second, [&](const std::string& bad,
                                                       size_t) {
      Files files = good;
      files[file].second = bad;
      const Opened reader = OpenDirectory(files);
      if (!reader.ok()) {
        EXPECT_THAT(std::string(reader.status().message()), HasSubstr("dir"));
        return;
      }
      for (size_t i = 0; i < (*reader)->index().tensors.size(); ++i) {
        const auto bytes = ReadTensor(**reader, i);
        if (bytes.ok()) continue;
        EXPECT_THAT(std::string(bytes.status().message()), HasSubstr("dir/"));
      }
    });
  }
}

}  // namespace
}  // namespace monoquant
