// Guards: what of an output is of the user's making: the name of a file, what
// is said of its neighbours, what is replaced.

#include "cli/output_plan.h"

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "exporters/model_files_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/json.h"

namespace monoquant::cli {
namespace {

using ::monoquant::testing::kTwoShards;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Input TwoShards() {
  Input input;
  ModelFiles& model = input;
  model = ::monoquant::testing::TwoShards();
  return input;
}

OutputTarget TargetOf(const char* format, const std::string& file) {
  OutputTarget target;
  target.path = file.empty() ? "out" : file;
  target.is_directory = file.empty();
  target.row = FindExporter(format).value();
  return target;
}

absl::StatusOr<OutputPlan> MakeOutput(const Input& input, const char* format,
                                      const std::string& file = "") {
  const OutputTarget target = TargetOf(format, file);
  const Plan plan = MakeCopyPlan(input.reader->index()).value();
  return PlanOutput(input, input, target, plan, *target.row->exporter,
                    /*max_shard_bytes=*/0);
}

std::vector<std::string> Names(const absl::StatusOr<OutputPlan>& plan) {
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::vector<std::string> names;
  for (const WeightFile& file : plan->files) names.push_back(file.name);
  if (!plan->index_name.empty()) names.push_back(plan->index_name);
  return names;
}

TEST(OutputPlanTest, ADirectoryHasShardsAndSideFiles) {
  const auto plan = MakeOutput(TwoShards(), "safetensors");
  EXPECT_THAT(Names(plan), ElementsAre(kTwoShards[0], kTwoShards[1],
                                       "m.safetensors.index.json"));
  EXPECT_THAT(plan->side_files, ElementsAre("config.json"));
}

TEST(OutputPlanTest, AFileHasNoSideFiles) {
  const auto plan = MakeOutput(TwoShards(), "torch", "a/out.pt");
  EXPECT_THAT(Names(plan), ElementsAre("out.pt"));
  EXPECT_THAT(plan->shards, IsEmpty());
  EXPECT_THAT(plan->side_files, IsEmpty());
  EXPECT_THAT(plan->notes, ElementsAre(HasSubstr("config.json")));
}

TEST(OutputPlanTest, NoFileOfADirectoryIsReplacedUnasked) {
  const std::string folder = ::testing::TempDir();
  const Input input = TwoShards();
  const auto plan = MakeOutput(input, "safetensors");
  ASSERT_TRUE(plan.ok()) << plan.status();
  OutputTarget target = TargetOf("safetensors", "");
  target.path = folder;
  EXPECT_TRUE(CheckOutputFiles(*plan, target, input, /*force=*/false).ok());
  std::ofstream(folder + "/m.safetensors.index.json") << "{}";
  const absl::Status status =
      CheckOutputFiles(*plan, target, input, /*force=*/false);
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("index.json: the out"));
  EXPECT_TRUE(CheckOutputFiles(*plan, target, input, /*force=*/true).ok());
}

TEST(OutputPlanTest, Document) {
  Json json;
  AppendFilesJson(*MakeOutput(TwoShards(), "safetensors"), json);
  const Json::Array* files = json.Find("files")->AsArray();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ(*(*files)[1].Find("name")->AsString(), kTwoShards[1]);
  EXPECT_EQ(*(*files)[1].Find("tensors")->AsInt(), 3);
  EXPECT_EQ(*json.Find("index")->AsString(), "m.safetensors.index.json");
  EXPECT_EQ(json.Find("side_files")->AsArray()->size(), 1u);
}

}  // namespace
}  // namespace monoquant::cli
