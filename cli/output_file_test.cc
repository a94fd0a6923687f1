// Guards where outputs go, and that nothing of the user's is ever overwritten
// by mistake.

#include "cli/output_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class OutputFileTest : public ::testing::Test {
 protected:
  OutputFileTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) / info->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_ / "model_dir");
    input_ = Write("model.pt");
  }

  std::string Write(const std::string& name) {
    const fs::path path = directory_ / name;
    std::ofstream(path) << name;
    return path.string();
  }

  std::string Path(const std::string& name) {
    return (directory_ / name).string();
  }

  absl::Status Check(const std::string& output, bool force = false) {
    OutputTarget target;
    target.path = output;
    return CheckOutput(target, input_, force);
  }

  fs::path directory_;
  std::string input_;
};

TEST_F(OutputFileTest, DefaultNames) {
  const struct {
    const char* input;
    const char* to;
    const char* output;
    const char* format;
  } kCases[] = {
      {"a/model.pt", "", "a/model_int8.pt", "torch"},
      {"model.PTH", "", "model_int8.PTH", "torch"},
      {"model.bin", "", "model_int8.bin", "torch"},
      {"model.tar.gz", "", "model.tar_int8.safetensors", "safetensors"},
      {"model", "", "model_int8.safetensors", "safetensors"},
      {"model.pt", "safetensors", "model_int8.safetensors", "safetensors"},
      {"model.pth", "torch", "model_int8.pth", "torch"},
  };
  for (const auto& test : kCases) {
    OutputArgs args;
    args.to = test.to;
    const auto target = ChooseOutput(args, test.input, "int8");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->path, test.output);
    EXPECT_EQ(target->row->exporter->name(), test.format);
  }
}

TEST_F(OutputFileTest, TheOutputOfADirectoryLiesBesideIt) {
  for (const char* spelling : {"model_dir", "model_dir/"}) {
    const auto target = ChooseOutput({}, Path(spelling), "int4");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->path, Path("model_dir_int4.safetensors"));
  }
}

TEST_F(OutputFileTest, SomeInputsGiveNoName) {
  EXPECT_EQ(ChooseOutput({}, "..", "int8").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ChooseOutput({}, "model.pt", "").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OutputFileTest, TheExtensionChoosesTheFormatUnlessToDoes) {
  OutputArgs args;
  args.path = "x.safetensors";
  EXPECT_EQ((*ChooseOutput(args, "m.pt", "int8")).row->exporter->name(),
            "safetensors");
  args.to = "torch";
  EXPECT_EQ((*ChooseOutput(args, "m.pt", "int8")).row->exporter->name(),
            "torch");
  args.to = "";
  args.path = "x.unknown";
  EXPECT_EQ(ChooseOutput(args, "m.pt", "int8").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OutputFileTest, TheInputIsNeverTheOutput) {
  fs::create_hard_link(input_, Path("hard.pt"));
  fs::create_symlink("model.pt", Path("soft.pt"));
  for (const char* spelling : {"model.pt", "./model.pt",
                               "model_dir/../model.pt", "hard.pt", "soft.pt"}) {
    for (const bool force : {false, true}) {
      const absl::Status status = Check(Path(spelling), force);
      EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << spelling;
      EXPECT_THAT(status.message(), HasSubstr("is the input"));
    }
  }
}

TEST_F(OutputFileTest, AnExistingOutputNeedsForce) {
  const std::string output = Write("there.pt");
  EXPECT_EQ(Check(output).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(Check(output, /*force=*/true).ok());
  fs::create_symlink("nowhere", Path("dangling.pt"));
  EXPECT_EQ(Check(Path("dangling.pt")).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(OutputFileTest, ADirectoryIsNoOutput) {
  EXPECT_EQ(Check(Path("model_dir"), /*force=*/true).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Check(Path("missing/x.pt")).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Check(Path("model.pt/x.pt")).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Check(Path("model_dir/x.pt")).ok());
}

TEST_F(OutputFileTest, TheLineOfPythonQuotesThePath) {
  const auto row = FindExporter("torch");
  ASSERT_TRUE(row.ok());
  EXPECT_THAT(PythonHint(**row, "a\"b\\c.pt"),
              HasSubstr(R"(torch.load("a\"b\\c.pt")"));
}

}  // namespace
}  // namespace monoquant::cli
