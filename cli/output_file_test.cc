// Guards where outputs go, and that nothing of the user's is ever overwritten
// by mistake.

#include "cli/output_file.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "cli/input_file.h"
#include "core/plan.h"
#include "exporters/programs.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

Input FileInput(const std::string& path) {
  Input input;
  input.path = path;
  input.files = {path};
  return input;
}

Input DirectoryInput(const std::string& path,
                     const std::string& weights = "model.safetensors") {
  Input input;
  input.path = path;
  input.directory = path;
  input.is_directory = true;
  input.weight_files = {weights};
  return input;
}

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
    return CheckOutput(target, FileInput(input_), force);
  }

  // As a directory output of a directory.
  absl::Status CheckDirectory(const std::string& output, bool force = false,
                              bool may_exist = false) {
    OutputTarget target;
    target.path = output;
    target.is_directory = true;
    target.may_exist = may_exist;
    return CheckOutput(target, DirectoryInput(Path("model_dir")), force);
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
    const auto target = ChooseOutput(args, FileInput(test.input), "int8");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->path, test.output);
    EXPECT_EQ(target->row->exporter->name(), test.format);
  }
}

TEST_F(OutputFileTest, TheOutputOfADirectoryLiesBesideIt) {
  for (const char* spelling : {"model_dir", "model_dir/"}) {
    const auto target =
        ChooseOutput({}, DirectoryInput(Path(spelling)), "int4");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->path, Path("model_dir_int4"));
    EXPECT_TRUE(target->is_directory);
  }
  // The index of the directory, by its name.
  Input index = DirectoryInput(Path("model_dir"));
  index.path += "/model.safetensors.index.json";
  EXPECT_EQ((*ChooseOutput({}, index, "int4")).path, Path("model_dir_int4"));
}

TEST_F(OutputFileTest, ADirectoryKeepsTheFormatOfItsWeights) {
  const struct {
    const char* weights;
    const char* to;
    const char* format;
  } kCases[] = {
      {"model.safetensors", "", "safetensors"},
      {"pytorch_model-00001-of-00002.bin", "", "torch"},
      {"__0_0.distcp", "", "safetensors"},
      {"model.safetensors", "mqir", "mqir"},
  };
  for (const auto& test : kCases) {
    OutputArgs args;
    args.to = test.to;
    for (const char* path : {"", "out", "out.v1/"}) {
      args.path = path;
      const auto target =
          ChooseOutput(args, DirectoryInput("dir", test.weights), "int8");
      ASSERT_TRUE(target.ok()) << target.status();
      EXPECT_EQ(target->row->exporter->name(), test.format);
      EXPECT_TRUE(target->is_directory);
      EXPECT_FALSE(target->may_exist);
    }
  }
}

TEST_F(OutputFileTest, FileOrDirectory) {
  const struct {
    const char* path;
    bool of_directory;
    uint64_t max_shard_bytes;
    bool is_directory;
    bool may_exist;
  } kCases[] = {
      {"out", true, 0, true, false},      {"out.pt", true, 0, false, false},
      {"out.pt/", true, 0, true, false},  {"model_dir", true, 0, true, false},
      {"out.pt", false, 0, false, false}, {"out/", false, 0, true, true},
      {"out", false, 1024, true, false},  {"out/", false, 1024, true, true},
      {"", false, 1024, true, false},     {"", false, 0, false, false},
  };
  for (const auto& test : kCases) {
    OutputArgs args;
    args.path = test.path;
    args.max_shard_bytes = test.max_shard_bytes;
    const Input input = test.of_directory ? DirectoryInput(Path("model_dir"))
                                          : FileInput("model.pt");
    const auto target = ChooseOutput(args, input, "int8");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->is_directory, test.is_directory) << test.path;
    EXPECT_EQ(target->may_exist, test.may_exist) << test.path;
  }
}

TEST_F(OutputFileTest, OneFileIsNotSeveral) {
  OutputArgs args;
  args.max_shard_bytes = 1024;
  args.path = "out.safetensors";
  const absl::Status file =
      ChooseOutput(args, FileInput("model.pt"), "int8").status();
  EXPECT_EQ(file.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(file.message(), HasSubstr("name a directory"));
  args.path = "out";
  args.to = "mqir";
  const absl::Status format =
      ChooseOutput(args, DirectoryInput("dir"), "int8").status();
  EXPECT_EQ(format.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(format.message(), HasSubstr("always one file"));
}

TEST_F(OutputFileTest, SomeInputsGiveNoName) {
  for (const char* path : {".", "..", "../"}) {
    EXPECT_EQ(ChooseOutput({}, DirectoryInput(path), "int8").status().code(),
              absl::StatusCode::kInvalidArgument)
        << path;
  }
  EXPECT_EQ(ChooseOutput({}, FileInput("model.pt"), "").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OutputFileTest, TheExtensionChoosesTheFormatUnlessToDoes) {
  OutputArgs args;
  args.path = "x.safetensors";
  EXPECT_EQ(
      (*ChooseOutput(args, FileInput("m.pt"), "int8")).row->exporter->name(),
      "safetensors");
  args.to = "torch";
  EXPECT_EQ(
      (*ChooseOutput(args, FileInput("m.pt"), "int8")).row->exporter->name(),
      "torch");
  args.to = "";
  args.path = "x.unknown";
  EXPECT_EQ(ChooseOutput(args, FileInput("m.pt"), "int8").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(OutputFileTest, AProgramChoosesTheFormat) {
  const struct {
    const char* program;
    const char* to;
    const char* path;
    const char* format;
    const char* default_scheme;
  } kCases[] = {
      {"vllm", "", "", "compressed-tensors", ""},
      {"vLLM", "gptq", "out", "gptq", "int4"},
      {"sglang", "fp8", "", "fp8", "fp8_e4m3,block"},
      {"transformers", "bitsandbytes", "", "bitsandbytes", "nf4"},
      {"torch", "", "x.pt", "torch-ao", ""},
      {"torch", "torch", "x.pt", "torch", ""},
  };
  for (const auto& test : kCases) {
    OutputArgs args;
    args.program = test.program;
    args.to = test.to;
    args.path = test.path;
    const auto target = ChooseOutput(args, FileInput("model.pt"), "int8");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->row->exporter->name(), test.format);
    EXPECT_EQ(target->program, *FindProgram(test.program));
    EXPECT_EQ(*DefaultScheme(args), test.default_scheme);
    const PlanOptions options = PlanOptionsFor(*target);
    EXPECT_EQ(options.storage, target->row->storage);
    EXPECT_EQ(options.program, target->program->title);
    EXPECT_EQ(options.fused_siblings, target->program->fuses_weights);
    EXPECT_EQ(options.fused_experts, target->program->fuses_experts);
    // One in monoquant's own storage.
    EXPECT_EQ(options.check_weight(QuantizedTensor()).ok(),
              options.program == "torch");
    EXPECT_TRUE(options.check_manifest(Manifest()).ok());
  }
  // Without one.
  const auto target = ChooseOutput({}, FileInput("model.pt"), "int8");
  EXPECT_EQ(target->program, nullptr);
  EXPECT_FALSE(PlanOptionsFor(*target).fused_siblings);
  EXPECT_EQ(PlanOptionsFor(*target).check_weight, nullptr);
}

TEST_F(OutputFileTest, WhatAProgramDoesNotLoad) {
  const struct {
    const char* program;
    const char* to;
    const char* message;
  } kCases[] = {
      {"vllm", "torch-ao",
       "vLLM does not load torch-ao; it loads compressed-tensors, gptq, "},
      {"sglang", "bitsandbytes",
       "SGLang has a loader for bitsandbytes, which is not tested; it loads "},
      {"vllm", "gguf", "unknown output format 'gguf'; choose one of "},
      {"tgi", "", "unknown program 'tgi'; choose one of vllm, sglang, "},
  };
  for (const auto& test : kCases) {
    OutputArgs args;
    args.program = test.program;
    args.to = test.to;
    for (const absl::Status& status :
         {ChooseOutput(args, FileInput("m.pt"), "int8").status(),
          DefaultScheme(args).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
      EXPECT_THAT(status.message(), HasSubstr(test.message));
    }
  }
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

TEST_F(OutputFileTest, OutputsThatAreDirectories) {
  EXPECT_TRUE(CheckDirectory(Path("new")).ok());
  EXPECT_TRUE(CheckDirectory(Path("new/")).ok());
  EXPECT_TRUE(CheckDirectory(Path("model_dir/int8")).ok());
  EXPECT_EQ(CheckDirectory(Path("missing/new/")).code(),
            absl::StatusCode::kNotFound);

  fs::create_directory(Path("there"));
  EXPECT_THAT(CheckDirectory(Path("there")).message(), HasSubstr("--force"));
  EXPECT_TRUE(CheckDirectory(Path("there"), /*force=*/true).ok());
  EXPECT_TRUE(
      CheckDirectory(Path("there/"), /*force=*/false, /*may_exist=*/true).ok());
  EXPECT_EQ(CheckDirectory(input_, /*force=*/true).code(),
            absl::StatusCode::kAlreadyExists);

  fs::create_directory_symlink("model_dir", Path("link"));
  for (const char* spelling :
       {"model_dir", "model_dir/", "./model_dir", "link", "link/"}) {
    const absl::Status status = CheckDirectory(Path(spelling), /*force=*/true);
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << spelling;
    EXPECT_THAT(status.message(), HasSubstr("is the input"));
  }
}

TEST_F(OutputFileTest, TheLineOfPythonQuotesThePath) {
  const auto row = FindExporter("torch");
  ASSERT_TRUE(row.ok());
  EXPECT_THAT(PythonHint(**row, "a\"b\\c.pt"),
              HasSubstr(R"(torch.load("a\"b\\c.pt")"));
}

}  // namespace
}  // namespace monoquant::cli
