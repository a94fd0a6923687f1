// Guards: what counts as a model directory, and which of its files are weights.

#include "exporters/model_files.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "exporters/model_files_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/byte_source.h"

namespace monoquant {
namespace {

using ::monoquant::testing::IndexOnlyReader;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

CheckpointFiles Files(const std::string& path) {
  return InMemoryFiles(path, {{"config.json", "{}"},
                              {"model.safetensors", "x"},
                              {"model.safetensors.index.json", "{}"},
                              {"old.bin", "x"}});
}

std::shared_ptr<IndexOnlyReader> Reader(const std::string& container,
                                        std::vector<std::string> files) {
  return std::make_shared<IndexOnlyReader>(container, std::move(files));
}

TEST(ModelFilesTest, ADirectoryHasSideFiles) {
  const ModelFiles model = FindModelFiles(
      Files("a/dir"), Reader("safetensors", {"model.safetensors"}), nullptr);
  EXPECT_EQ(model.path, "a/dir");
  EXPECT_EQ(model.directory, "a/dir");
  EXPECT_TRUE(model.is_directory);
  EXPECT_THAT(model.weight_files, ElementsAre("model.safetensors"));
  EXPECT_THAT(model.side_files.carried, ElementsAre("config.json"));
  EXPECT_THAT(model.side_files.other_weights, ElementsAre("old.bin"));
  EXPECT_THAT(model.side_files.directories, IsEmpty());
  EXPECT_EQ(model.stored, model.reader);
}

TEST(ModelFilesTest, AFileHasNone) {
  const ModelFiles model =
      FindModelFiles(Files("a/model.safetensors"),
                     Reader("safetensors", {"model.safetensors"}), nullptr);
  EXPECT_FALSE(model.is_directory);
  EXPECT_EQ(model.directory, "a");
  EXPECT_THAT(model.weight_files, ElementsAre("model.safetensors"));
  EXPECT_THAT(model.side_files.carried, IsEmpty());
}

TEST(ModelFilesTest, AnIndexStandsForItsDirectory) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ""}, {"/", "/"}, {"a/b//", "a/b"}, {"/a/", "/a"}};
  for (const auto& [before, directory] : cases) {
    const ModelFiles model = FindModelFiles(
        Files(before + "model.safetensors.index.json"),
        Reader("safetensors-sharded", {"model.safetensors"}), nullptr);
    EXPECT_TRUE(model.is_directory);
    EXPECT_EQ(model.directory, directory) << before;
    EXPECT_THAT(model.side_files.carried, ElementsAre("config.json"));
  }
}

TEST(ModelFilesTest, DecodedTensorsAreLookedForWhereTheyAreStored) {
  const auto decoded = Reader("safetensors", {""});
  int calls = 0;
  const OpenAsStored open_as_stored =
      [&calls]() -> absl::StatusOr<std::unique_ptr<CheckpointReader>> {
    ++calls;
    return std::make_unique<IndexOnlyReader>(
        "safetensors", std::vector<std::string>{"model.safetensors"});
  };
  const ModelFiles model =
      FindModelFiles(Files("dir"), decoded, open_as_stored);
  EXPECT_NE(model.stored, model.reader);
  EXPECT_THAT(model.weight_files, ElementsAre("model.safetensors"));
  EXPECT_EQ(calls, 1);

  // A file by itself has no others, and what lies in files is there already.
  FindModelFiles(Files("model.safetensors"), decoded, open_as_stored);
  FindModelFiles(Files("dir"), Reader("safetensors", {"model.safetensors"}),
                 open_as_stored);
  EXPECT_EQ(calls, 1);

  // Failing that, names have to tell.
  const ModelFiles by_name =
      FindModelFiles(Files("dir"), decoded,
                     []() -> absl::StatusOr<std::unique_ptr<CheckpointReader>> {
                       return absl::DataLossError("damaged");
                     });
  EXPECT_EQ(by_name.stored, by_name.reader);
  EXPECT_THAT(by_name.weight_files,
              ElementsAre("model.safetensors", "old.bin"));
}

TEST(ModelFilesTest, PiecesOfProcessesAreToldByTheirNames) {
  const auto reader = Reader("dcp", {""});
  EXPECT_TRUE(IsDistributed(*reader));
  const ModelFiles model =
      FindModelFiles(InMemoryFiles("dir", {{".metadata", "x"},
                                           {"__0_0.distcp", "x"},
                                           {"__1_0.distcp", "x"},
                                           {"config.json", "{}"}}),
                     reader, nullptr);
  EXPECT_THAT(model.weight_files, ElementsAre("__0_0.distcp", "__1_0.distcp"));
  EXPECT_THAT(model.side_files.carried, ElementsAre("config.json"));
}

}  // namespace
}  // namespace monoquant
