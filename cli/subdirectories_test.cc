// Guards: which directories of a model are named as left out.

#include "cli/subdirectories.h"

#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SubdirectoriesTest, VisibleOnesByName) {
  const fs::path directory = fs::path(::testing::TempDir()) / "subdirectories";
  fs::remove_all(directory);
  for (const char* name : {"openvino", "onnx", ".cache"}) {
    fs::create_directories(directory / name);
  }
  std::ofstream(directory / "config.json") << "{}";
  EXPECT_THAT(Subdirectories(directory.string()),
              ElementsAre("onnx", "openvino"));
  EXPECT_THAT(Subdirectories((directory / "absent").string()), IsEmpty());
}

}  // namespace
}  // namespace monoquant::cli
