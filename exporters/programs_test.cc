#include "exporters/programs.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "exporters/exporter.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

// Every program is found by its name, and names formats that there are.
TEST(ProgramsTest, RowsAreWhole) {
  std::set<std::string> names;
  for (const Program& program : AllPrograms()) {
    EXPECT_TRUE(names.insert(std::string(program.name)).second);
    EXPECT_EQ(*FindProgram(program.name), &program);
    EXPECT_FALSE(program.title.empty());
    ASSERT_FALSE(program.formats.empty());
    for (const absl::string_view format : program.formats) {
      EXPECT_TRUE(FindExporter(format).ok()) << format;
      EXPECT_FALSE(IsUntested(program, format)) << format;
    }
    for (const absl::string_view format : program.untested) {
      EXPECT_TRUE(FindExporter(format).ok()) << format;
    }
  }
}

TEST(ProgramsTest, NamesInAnyCase) {
  EXPECT_EQ((*FindProgram("vLLM"))->name, "vllm");
}

TEST(ProgramsTest, Formats) {
  const Program& vllm = **FindProgram("vllm");
  EXPECT_EQ(*FormatFor(vllm, ""), "compressed-tensors");
  EXPECT_EQ(*FormatFor(vllm, "gptq"), "gptq");
  EXPECT_EQ(*FormatFor(**FindProgram("torch"), ""), "torch-ao");
  ExpectError(FormatFor(vllm, "torch-ao"), absl::StatusCode::kInvalidArgument,
              "vLLM does not load torch-ao; it loads compressed-tensors, gptq, "
              "awq, fp8, ");
}

TEST(ProgramsTest, WhatIsPutTogether) {
  for (const char* name : {"vllm", "sglang"}) {
    EXPECT_TRUE((*FindProgram(name))->fuses_weights);
    EXPECT_TRUE((*FindProgram(name))->fuses_experts);
  }
  EXPECT_FALSE((*FindProgram("transformers"))->fuses_weights);
  EXPECT_TRUE((*FindProgram("transformers"))->fuses_experts);
  EXPECT_FALSE((*FindProgram("torch"))->fuses_experts);
}

TEST(ProgramsTest, UntestedFormats) {
  const Program& sglang = **FindProgram("sglang");
  EXPECT_TRUE(IsUntested(sglang, "bitsandbytes"));
  EXPECT_FALSE(IsUntested(sglang, "torchao"));
  EXPECT_FALSE(IsUntested(**FindProgram("vllm"), "bitsandbytes"));
  ExpectError(FormatFor(sglang, "bitsandbytes"),
              absl::StatusCode::kInvalidArgument,
              "SGLang has a loader for bitsandbytes, which is not tested; it "
              "loads compressed-tensors, gptq, ");
}

TEST(ProgramsTest, UnknownNames) {
  ExpectError(FindProgram("llama.cpp"), absl::StatusCode::kInvalidArgument,
              "unknown program 'llama.cpp'; choose one of vllm, sglang, "
              "transformers, torch");
}

}  // namespace
}  // namespace monoquant
