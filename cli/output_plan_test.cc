// Guards: which files an output has and what they are called.

#include "cli/output_plan.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"

namespace monoquant::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Tensors of 64 bytes in files; an empty name: in none as it is.
class FakeReader : public CheckpointReader {
 public:
  FakeReader(std::string container, std::vector<std::string> files)
      : files_(std::move(files)) {
    index_.container = std::move(container);
    for (size_t i = 0; i < files_.size(); ++i) {
      TensorInfo info;
      info.name = "t" + std::to_string(i);
      info.dtype = DType::kU8;
      info.shape = {64};
      info.byte_size = 64;
      index_.tensors.push_back(info);
    }
  }

  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t, uint64_t, uint64_t,
                    absl::Span<uint8_t>) const override {
    return absl::UnimplementedError("only an index");
  }
  std::optional<FileExtent> Locate(size_t tensor) const override {
    if (files_[tensor].empty()) return std::nullopt;
    return FileExtent{files_[tensor], 0, 64};
  }

 private:
  CheckpointIndex index_;
  const std::vector<std::string> files_;
};

Input DirectoryOf(std::vector<std::string> weight_files,
                  std::vector<std::string> file_of_each,
                  std::string container = "safetensors-sharded") {
  Input input;
  input.path = "dir";
  input.directory = "dir";
  input.is_directory = true;
  input.weight_files = std::move(weight_files);
  input.side_files.carried = {"config.json"};
  input.side_files.other_weights = {"old.bin"};
  input.reader = std::make_shared<FakeReader>(std::move(container),
                                              std::move(file_of_each));
  input.stored = input.reader;
  return input;
}

absl::StatusOr<OutputPlan> MakeOutput(const Input& input, const char* format,
                                      uint64_t max_shard_bytes = 0,
                                      const std::string& file = "") {
  OutputTarget target;
  target.path = file.empty() ? "out" : file;
  target.is_directory = file.empty();
  target.row = FindExporter(format).value();
  const Plan plan = MakeCopyPlan(input.reader->index()).value();
  return PlanOutput(input, input, target, plan, *target.row->exporter,
                    max_shard_bytes);
}

std::vector<std::string> Names(const absl::StatusOr<OutputPlan>& plan) {
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> names;
  for (const WeightFile& file : plan->files) names.push_back(file.name);
  if (!plan->index_name.empty()) names.push_back(plan->index_name);
  return names;
}

const std::vector<std::string> kShards = {"m-00001-of-00002.safetensors",
                                          "m-00002-of-00002.safetensors"};

Input TwoShards() {
  return DirectoryOf(kShards, {kShards[0], "", kShards[1], kShards[1], ""});
}

TEST(OutputPlanTest, ShardsStayShards) {
  const auto plan = MakeOutput(TwoShards(), "safetensors");
  EXPECT_THAT(Names(plan),
              ElementsAre(kShards[0], kShards[1], "m.safetensors.index.json"));
  EXPECT_THAT(plan->shards[0].outputs, ElementsAre(0, 1));
  EXPECT_THAT(plan->shards[1].outputs, ElementsAre(2, 3, 4));
  EXPECT_THAT(plan->index_text, HasSubstr("\"t4\": \"" + kShards[1]));
  EXPECT_THAT(plan->side_files, ElementsAre("config.json"));
  EXPECT_THAT(plan->notes, ElementsAre(HasSubstr("old.bin")));
}

TEST(OutputPlanTest, OtherFormatsHaveTheirNames) {
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "torch")),
              ElementsAre("m-00001-of-00002.bin", "m-00002-of-00002.bin",
                          "m.bin.index.json"));
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "mqir")), ElementsAre("m.mqir"));
  // Loaders look for these.
  const Input model = DirectoryOf(
      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
      {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"});
  EXPECT_THAT(Names(MakeOutput(model, "torch")),
              ElementsAre("pytorch_model-00001-of-00002.bin",
                          "pytorch_model-00002-of-00002.bin",
                          "pytorch_model.bin.index.json"));
  const Input pickles =
      DirectoryOf({"pytorch_model.bin"}, {"pytorch_model.bin"}, "torch");
  EXPECT_THAT(Names(MakeOutput(pickles, "safetensors")),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(Names(MakeOutput(pickles, "torch")),
              ElementsAre("pytorch_model.bin"));
}

TEST(OutputPlanTest, ShardsOfAGivenSize) {
  EXPECT_THAT(
      Names(MakeOutput(TwoShards(), "safetensors", 128)),
      ElementsAre("m-00001-of-00003.safetensors",
                  "m-00002-of-00003.safetensors",
                  "m-00003-of-00003.safetensors", "m.safetensors.index.json"));
  EXPECT_THAT(Names(MakeOutput(TwoShards(), "safetensors", 1 << 20)),
              ElementsAre("m.safetensors"));
  Input file = TwoShards();
  file.is_directory = false;
  file.path = "model.pt";
  EXPECT_THAT(Names(MakeOutput(file, "torch", 1 << 20)),
              ElementsAre("model.pt"));
  EXPECT_THAT(Names(MakeOutput(file, "torch", 256)),
              ElementsAre("pytorch_model-00001-of-00002.bin",
                          "pytorch_model-00002-of-00002.bin",
                          "pytorch_model.bin.index.json"));
}

TEST(OutputPlanTest, AShardWithoutTensorsIsNoFile) {
  EXPECT_THAT(
      Names(MakeOutput(DirectoryOf(kShards, {kShards[1]}), "safetensors")),
      ElementsAre("m.safetensors"));
  EXPECT_THAT(Names(MakeOutput(DirectoryOf({}, {}), "safetensors")),
              ElementsAre("model.safetensors"));
}

TEST(OutputPlanTest, TheFilesOfProcessesAreNoShards) {
  const std::vector<std::string> files = {"__0_0.distcp", "__1_0.distcp"};
  EXPECT_THAT(
      Names(MakeOutput(DirectoryOf(files, files, "dcp"), "safetensors")),
      ElementsAre("model.safetensors"));
}

TEST(OutputPlanTest, AnIndexThatWasNamedKeepsItsName) {
  Input input = TwoShards();
  input.checkpoint_files.main = "other.safetensors.index.json";
  EXPECT_THAT(Names(MakeOutput(input, "safetensors")).back(),
              "other.safetensors.index.json");
  EXPECT_THAT(Names(MakeOutput(input, "torch")).back(), "m.bin.index.json");
}

TEST(OutputPlanTest, AFileHasNoSideFiles) {
  const auto plan = MakeOutput(TwoShards(), "torch", 0, "a/out.pt");
  EXPECT_THAT(Names(plan), ElementsAre("out.pt"));
  EXPECT_THAT(plan->shards, IsEmpty());
  EXPECT_THAT(plan->side_files, IsEmpty());
  EXPECT_THAT(plan->notes, ElementsAre(HasSubstr("config.json")));
}

TEST(OutputPlanTest, Document) {
  Json json;
  AppendFilesJson(*MakeOutput(TwoShards(), "safetensors"), json);
  const Json::Array* files = json.Find("files")->AsArray();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ(*(*files)[1].Find("name")->AsString(), kShards[1]);
  EXPECT_EQ(*(*files)[1].Find("tensors")->AsInt(), 3);
  EXPECT_EQ(*json.Find("index")->AsString(), "m.safetensors.index.json");
  EXPECT_EQ(json.Find("side_files")->AsArray()->size(), 1u);
}

}  // namespace
}  // namespace monoquant::cli
