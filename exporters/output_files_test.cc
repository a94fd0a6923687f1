// Guards: which files an output directory has, what they are called, and what
// its config.json says.

#include "exporters/output_files.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "exporters/model_files_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"
#include "ir/quant_record.h"

namespace monoquant {
namespace {

using ::monoquant::testing::DirectoryOf;
using ::monoquant::testing::IndexOnlyReader;
using ::monoquant::testing::kTwoShards;
using ::monoquant::testing::TwoShards;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

absl::StatusOr<OutputPlan> MakeOutput(const ModelFiles& input,
                                      const char* format,
                                      uint64_t max_shard_bytes = 0) {
  const ExporterRow& row = *FindExporter(format).value();
  const Plan plan = MakeCopyPlan(input.reader->index()).value();
  return PlanDirectory(input, *input.reader, row, plan, *row.exporter,
                       max_shard_bytes);
}

std::vector<std::string> Names(const absl::StatusOr<OutputPlan>& plan) {
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> names;
  for (const WeightFile& file : plan->files) names.push_back(file.name);
  if (!plan->index_name.empty()) names.push_back(plan->index_name);
  return names;
}

TEST(OutputFilesTest, ShardsStayShards) {
  const auto plan = MakeOutput(TwoShards(), "safetensors");
  EXPECT_THAT(Names(plan), ElementsAre(kTwoShards[0], kTwoShards[1],
                                       "m.safetensors.index.json"));
  EXPECT_THAT(plan->shards[0].outputs, ElementsAre(0, 1));
  EXPECT_THAT(plan->shards[1].outputs, ElementsAre(2, 3, 4));
  EXPECT_THAT(plan->index_text,
              HasSubstr(std::string("\"t4\": \"") + kTwoShards[1]));
  EXPECT_THAT(plan->side_files, ElementsAre("config.json"));
  EXPECT_THAT(plan->notes, ElementsAre(HasSubstr("old.bin")));
}

TEST(OutputFilesTest, OtherFormatsHaveTheirNames) {
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "torch")),
              ElementsAre("m-00001-of-00002.bin", "m-00002-of-00002.bin",
                          "m.bin.index.json"));
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "mqir")), ElementsAre("m.mqir"));
  // Loaders look for these.
  const ModelFiles model = DirectoryOf(
      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"});
  EXPECT_THAT(Names(MakeOutput(model, "torch")),
              ElementsAre("pytorch_model-00001-of-00002.bin",
                          "pytorch_model-00002-of-00002.bin",
                          "pytorch_model.bin.index.json"));
  const ModelFiles pickles =
      DirectoryOf({"pytorch_model.bin"}, {"pytorch_model.bin"}, "torch");
  EXPECT_THAT(Names(MakeOutput(pickles, "safetensors")),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(Names(MakeOutput(pickles, "torch")),
              ElementsAre("pytorch_model.bin"));
}

TEST(OutputFilesTest, ShardsOfAGivenSize) {
  EXPECT_THAT(
      Names(MakeOutput(TwoShards(), "safetensors", 128)),
      ElementsAre("m-00001-of-00003.safetensors",
                  "m-00002-of-00003.safetensors",
                  "m-00003-of-00003.safetensors", "m.safetensors.index.json"));
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "safetensors", 1 << 20)),
              ElementsAre("m.safetensors"));
  ModelFiles file = TwoShards();
  file.is_directory = false;
  for (const char* path : {"model.pt", "some.dir/model.pt"}) {
    file.path = path;
    EXPECT_THAT(Names(MakeOutput(file, "torch", 1 << 20)),
                ElementsAre("model.pt"));
  }
  EXPECT_THAT(Names(MakeOutput(file, "torch", 256)),
              ElementsAre("pytorch_model-00001-of-00002.bin",
                          "pytorch_model-00002-of-00002.bin",
                          "pytorch_model.bin.index.json"));
}

TEST(OutputFilesTest, AShardWithoutTensorsIsNoFile) {
  EXPECT_THAT(Names(MakeOutput(
                  DirectoryOf({kTwoShards[0], kTwoShards[1]}, {kTwoShards[1]}),
                  "safetensors")),
              ElementsAre("m.safetensors"));
  EXPECT_THAT(Names(MakeOutput(DirectoryOf({}, {}), "safetensors")),
              ElementsAre("model.safetensors"));
}

TEST(OutputFilesTest, TheFilesOfProcessesAreNoShards) {
  const std::vector<std::string> files = {"__0_0.distcp", "__1_0.distcp"};
  EXPECT_THAT(
      Names(MakeOutput(DirectoryOf(files, files, "dcp"), "safetensors")),
      ElementsAre("model.safetensors"));
}

TEST(OutputFilesTest, AnIndexThatWasNamedKeepsItsName) {
  ModelFiles input = TwoShards();
  input.checkpoint_files.main = "other.safetensors.index.json";
  EXPECT_THAT(Names(MakeOutput(input, "safetensors")).back(),
              "other.safetensors.index.json");
  EXPECT_THAT(Names(MakeOutput(input, "torch")).back(), "m.bin.index.json");
}

// A directory with this config.json.
ModelFiles WithConfig(const std::string& text) {
  ModelFiles input = TwoShards();
  input.checkpoint_files = InMemoryFiles("dir", {{"config.json", text}});
  return input;
}

// Programs that do not load such a model in a format are named.
TEST(OutputFilesTest, ModelsThatAFormatIsNotFor) {
  const ModelFiles bloom = WithConfig(R"({"model_type":"bloom"})");
  EXPECT_THAT(MakeOutput(bloom, "awq")->notes,
              Contains(HasSubstr("Transformers loads no model_type bloom")));
  EXPECT_THAT(MakeOutput(bloom, "gptq")->notes,
              Not(Contains(HasSubstr("bloom"))));
  const ModelFiles llama = WithConfig(R"({"model_type":"llama"})");
  EXPECT_THAT(MakeOutput(llama, "awq")->notes,
              Not(Contains(HasSubstr("Transformers"))));
}

TEST(OutputFilesTest, AConfigurationIsTheInputsWithOneEntryMore) {
  const auto plan =
      MakeOutput(WithConfig(R"({"a":1,"quantization_config":{"old":1},"b":2})"),
                 "compressed-tensors");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->side_files, IsEmpty());
  ASSERT_EQ(plan->made_files.size(), 1u);
  EXPECT_EQ(plan->made_files[0].name, "config.json");
  EXPECT_THAT(plan->made_files[0].text,
              ::testing::StartsWith("{\n  \"a\": 1,\n  \"b\": 2,\n"
                                    "  \"quantization_config\": {\n"));
  EXPECT_THAT(plan->made_files[0].text, Not(HasSubstr("old")));
  EXPECT_THAT(plan->made_files[0].text, ::testing::EndsWith("}\n"));
}

TEST(OutputFilesTest, WithoutAConfigurationThereIsOneEntry) {
  ModelFiles input = TwoShards();
  input.side_files.carried = {"tokenizer.json"};
  const auto plan = MakeOutput(input, "compressed-tensors");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->side_files, ElementsAre("tokenizer.json"));
  ASSERT_EQ(plan->made_files.size(), 1u);
  EXPECT_THAT(plan->made_files[0].text,
              ::testing::StartsWith("{\n  \"quantization_config\": {\n"));
  EXPECT_THAT(plan->notes,
              ElementsAre(HasSubstr("old.bin"), HasSubstr("no config.json")));
}

TEST(OutputFilesTest, AConfigurationThatCannotBeReadIsAnError) {
  for (const char* text : {"[]", "{", ""}) {
    ModelFiles input = WithConfig(text);
    const auto plan = MakeOutput(input, "compressed-tensors");
    EXPECT_EQ(plan.status().code(), absl::StatusCode::kDataLoss) << text;
    EXPECT_THAT(std::string(plan.status().message()),
                ::testing::StartsWith("dir/config.json: "));
    input.directory = "";
    EXPECT_THAT(std::string(MakeOutput(input, "fp8").status().message()),
                ::testing::StartsWith("./config.json: "));
    // Another format needs no entry in it.
    EXPECT_TRUE(MakeOutput(input, "safetensors").ok());
  }
}

TEST(OutputFilesTest, WhatWasDecodedIsNotSaidToBeQuantized) {
  ModelFiles input = WithConfig(R"({"a":1,"quantization_config":{"bits":4}})");
  input.side_files.carried = {"config.json", "quantize_config.json"};
  input.stored = std::make_shared<IndexOnlyReader>(
      "safetensors-sharded",
      std::vector<std::string>(5, std::string(kTwoShards[0])));
  const auto plan = MakeOutput(input, "safetensors");
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_THAT(plan->side_files, IsEmpty());
  ASSERT_EQ(plan->made_files.size(), 1u);
  EXPECT_EQ(plan->made_files[0].text, "{\n  \"a\": 1\n}\n");
  EXPECT_THAT(plan->notes, ElementsAre(HasSubstr("old.bin"),
                                       HasSubstr("quantization_config"),
                                       HasSubstr("quantize_config.json")));
}

}  // namespace
}  // namespace monoquant
