// Guards: that files which are missing, left over or damaged, and an index that
// does not fit them, are found; and when that is an error instead.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/testing/pickle_builder.h"
#include "frontends/testing/zip_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"
#include "ir/testing.h"
#include "verify/testing.h"
#include "verify/verify.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using testing::ExpectError;
using testing::FakeFiles;
using testing::FakeTensors;
using testing::Found;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::PickleBuilder;
using testing::SafetensorsFile;
using testing::Verify;
using testing::ZipBuilder;

constexpr absl::string_view kIndex = "model.safetensors.index.json";
constexpr absl::string_view kFirst = "model-00001-of-00002.safetensors";
constexpr absl::string_view kSecond = "model-00002-of-00002.safetensors";

// Two shards, and this index.
FakeFiles Shards(absl::string_view index) {
  return {{std::string(kIndex), std::string(index)},
          {std::string(kFirst), SafetensorsFile({{"a", DType::kU8, {3}}})},
          {std::string(kSecond), SafetensorsFile({{"b", DType::kU8, {4}}})}};
}

constexpr absl::string_view kGoodIndex =
    R"({"metadata": {"total_size": 7}, "weight_map": {
        "a": "model-00001-of-00002.safetensors",
        "b": "model-00002-of-00002.safetensors"}})";

TEST(ShardsTest, Whole) {
  const auto report = Verify(Shards(kGoodIndex));
  EXPECT_THAT(Found(report), IsEmpty());
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->complete);
  EXPECT_EQ(report->container, "safetensors-sharded");
  EXPECT_EQ(report->format, "safetensors");
  EXPECT_EQ(report->tensors, 2u);
  EXPECT_EQ(report->bytes, 7u);
  // By the index itself, and with a number that is written as a float.
  EXPECT_THAT(Found(Verify(Shards(kGoodIndex), "", false,
                           "m/model.safetensors.index.json")),
              IsEmpty());
  std::string index(kGoodIndex);
  index.replace(index.find("7}"), 1, "7.0");
  EXPECT_THAT(Found(Shards(index)), IsEmpty());
}

TEST(ShardsTest, MissingFile) {
  FakeFiles files = Shards(kGoodIndex);
  files.pop_back();
  const auto report = Verify(files);
  EXPECT_THAT(Found(report),
              ElementsAre(HasSubstr("error files model-00002-of-00002."
                                    "safetensors: : is missing, though model."
                                    "safetensors.index.json names it")));
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->complete);
}

TEST(ShardsTest, DamagedFile) {
  FakeFiles files = Shards(kGoodIndex);
  files[2].second.pop_back();
  EXPECT_THAT(Found(files), ElementsAre(HasSubstr(
                                "error files model-00002-of-00002.safetensors"
                                ": : ")));
}

TEST(ShardsTest, TotalSize) {
  std::string index(kGoodIndex);
  index.replace(index.find("7}"), 1, "8");
  const auto report = Verify(Shards(index));
  EXPECT_THAT(Found(report),
              ElementsAre(HasSubstr("error files model.safetensors.index.json"
                                    ": : total_size is 8, but the tensors have "
                                    "7 bytes")));
  // Nothing else depends on it.
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->complete);
}

TEST(ShardsTest, TensorsElsewhere) {
  EXPECT_THAT(Found(Shards(R"({"weight_map": {
                  "a": "model-00002-of-00002.safetensors",
                  "b": "model-00002-of-00002.safetensors",
                  "c": "model-00001-of-00002.safetensors"}})")),
              ElementsAre(HasSubstr("error files model-00002-of-00002."
                                    "safetensors: a: is not there, but in "
                                    "model-00001"),
                          HasSubstr("error files model-00001-of-00002."
                                    "safetensors: c: is listed by")));
  EXPECT_THAT(Found(Shards(R"({"weight_map": {
                  "a": "model-00001-of-00002.safetensors"}})")),
              ElementsAre(HasSubstr("warning files model-00002-of-00002."
                                    "safetensors: : is left over")));
  FakeFiles files = Shards(kGoodIndex);
  files[1].second = SafetensorsFile(
      {{"a", DType::kU8, {3}}, {"x", DType::kU8, {2}}, {"b", DType::kU8, {4}}});
  EXPECT_THAT(
      Found(files),
      ElementsAre(HasSubstr("warning files model-00001-of-00002.safetensors: "
                            "x: is not listed by"),
                  HasSubstr("is in 2 files")));
}

TEST(ShardsTest, ASingleFileBesideThem) {
  FakeFiles files = Shards(kGoodIndex);
  files.emplace_back("model.safetensors",
                     SafetensorsFile({{"a", DType::kU8, {3}}}));
  EXPECT_THAT(Found(files),
              ElementsAre(HasSubstr("warning files model.safetensors: : lies "
                                    "beside model.safetensors.index.json")));
}

TEST(FilesTest, WhatCannotBeOpened) {
  const std::string good = SafetensorsFile({{"a", DType::kU8, {3}}});
  const std::string cut = good.substr(0, good.size() - 1);
  // One file is malformed; a directory has something wrong with it.
  ExpectError(Verify({{"m.safetensors", cut}}, "", false, "m.safetensors"),
              absl::StatusCode::kDataLoss, "m.safetensors");
  EXPECT_THAT(Found(FakeFiles{{"model.safetensors", cut}}),
              ElementsAre(HasSubstr("error files ")));
  EXPECT_THAT(
      Found(FakeFiles{{"a.safetensors", good}, {"b.safetensors", good}}),
      ElementsAre(HasSubstr("several safetensors files but no index")));
  EXPECT_FALSE(Verify({{"README.md", "x"}}).ok());
  ExpectError(Verify(Shards("{}")), absl::StatusCode::kDataLoss, "weight_map");
}

// ------------------------------------------------------------- checksums --

std::string TorchFile(absl::string_view global = "OrderedDict") {
  PickleBuilder pickle;
  pickle.Global("collections", global).IntTuple({}).Reduce().Mark();
  pickle.Str("a").Tensor("ByteStorage", "0", 3, 0, {3}, {1});
  return ZipBuilder()
      .Add("m/data.pkl", pickle.SetItems().Build())
      .Add("m/data/0", "xyz")
      .Build();
}

TEST(ChecksumsTest, OfArchives) {
  const std::string good = TorchFile();
  const auto verify = [](const std::string& bytes, bool hashes) {
    return Verify({{"m.pt", bytes}}, "", hashes, "m.pt");
  };
  const auto report = verify(good, true);
  EXPECT_THAT(Found(report), IsEmpty());
  ASSERT_TRUE(report.ok() && report->checksums.has_value());
  EXPECT_THAT(report->checksums->verified, ElementsAre("m.pt"));
  std::string damaged = good;
  damaged[damaged.find("xyz")] = 'X';
  EXPECT_THAT(Found(verify(damaged, false)), IsEmpty());
  EXPECT_THAT(Found(verify(damaged, true)),
              ElementsAre(HasSubstr("error files m.pt: : ")));
}

TEST(ChecksumsTest, ThereMayBeNone) {
  const auto report =
      Verify({{"model.safetensors", SafetensorsFile({{"a", DType::kU8, {3}}})}},
             "", true);
  ASSERT_TRUE(report.ok() && report->checksums.has_value());
  EXPECT_THAT(report->checksums->verified, IsEmpty());
  EXPECT_THAT(report->checksums->without, ElementsAre("model.safetensors"));
}

TEST(ChecksumsTest, CanBeInterrupted) {
  VerifyOptions options;
  options.hashes = true;
  ExpectError(
      VerifyCheckpoint(InMemoryFiles("m.pt", {{"m.pt", TorchFile()}}), options,
                       [](uint64_t done, uint64_t total) {
                         EXPECT_LE(done, total);
                         return absl::CancelledError("enough");
                       }),
      absl::StatusCode::kCancelled, "enough");
}

// -------------------------------------------------------------- pickles --

TEST(PicklesTest, WeightsOnly) {
  const auto found = [](const std::string& bytes) {
    return Found(Verify({{"m.pt", bytes}}, "torch", false, "m.pt"));
  };
  EXPECT_THAT(found(TorchFile()), IsEmpty());
  EXPECT_THAT(found(TorchFile("Counter")), IsEmpty());
  EXPECT_THAT(found(TorchFile("UserDict")),
              ElementsAre(HasSubstr("names 'collections.UserDict', which "
                                    "torch.load(weights_only=True) refuses")));
}

}  // namespace
}  // namespace monoquant
