#include "exporters/programs.h"

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "exporters/exporter.h"
#include "gtest/gtest.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
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

QuantScheme Scheme(NumberFormat format, Granularity granularity,
                   int64_t group_size = 0) {
  QuantScheme scheme;
  scheme.format = format;
  scheme.granularity = granularity;
  scheme.group_size = group_size;
  return scheme;
}

TEST(ProgramsTest, KernelsOfEngines) {
  const QuantScheme groups =
      Scheme(NumberFormat::kInt4, Granularity::kGroup, 128);
  const QuantScheme small =
      Scheme(NumberFormat::kInt4, Granularity::kGroup, 16);
  const QuantScheme rows = Scheme(NumberFormat::kInt4, Granularity::kAxis);
  const QuantScheme int8 = Scheme(NumberFormat::kInt8, Granularity::kAxis);
  const QuantScheme blocks =
      Scheme(NumberFormat::kFp8E4M3, Granularity::kBlock, 128);
  QuantScheme asymmetric = groups;
  asymmetric.symmetric = false;
  const auto compressed = QuantStorage::kCompressedTensors;
  const struct {
    QuantStorage storage;
    const QuantScheme& scheme;
    Shape shape;
    const char* error;  // after the program's name; empty for none
  } cases[] = {
      {compressed, groups, {64, 128}, ""},
      {compressed, rows, {64, 128}, ""},
      {compressed,
       groups,
       {32, 128},
       "'s kernels take rows in multiples of 64 and columns of 128, not [32, "
       "128]; leave it as it is (--skip)"},
      {compressed,
       rows,
       {64, 64},
       "'s kernels take rows in multiples of 64 and columns of 128, not [64, "
       "64]"},
      {compressed,
       small,
       {64, 128},
       "'s kernels take groups of 32, 64 or 128, or one a row, not of 16; use "
       "one of these (-g)"},
      // Multiplied as INT8, by other kernels.
      {compressed, int8, {7, 64}, ""},
      {compressed,
       Scheme(NumberFormat::kInt8, Granularity::kGroup, 64),
       {7, 64},
       "'s kernels take rows in multiples of 64"},
      {compressed,
       Scheme(NumberFormat::kFp8E4M3, Granularity::kAxis),
       {7, 64},
       ""},
      {compressed, blocks, {128, 256}, ""},
      {compressed,
       blocks,
       {64, 256},
       "'s kernels take rows in multiples of 128 and columns of 128, not [64, "
       "256]"},
      {QuantStorage::kFp8, blocks, {128, 64}, "'s kernels take rows in mult"},
      {QuantStorage::kGptq, groups, {64, 128}, ""},
      {QuantStorage::kGptq, int8, {32, 128}, "'s kernels take rows in mult"},
      {QuantStorage::kGptq,
       asymmetric,
       {64, 128},
       "'s kernels take symmetric schemes of GPTQ only; use symmetric, or "
       "--to awq"},
      {QuantStorage::kAwq, asymmetric, {64, 128}, ""},
      {QuantStorage::kAwq, asymmetric, {8, 128}, "'s kernels take rows in mu"},
      {QuantStorage::kBitsandbytes,
       Scheme(NumberFormat::kNf4, Granularity::kGroup, 64),
       {7, 64},
       ""},
      {QuantStorage::kPlain,
       int8,
       {64, 128},
       " has no layers for monoquant's own storage; use --to "
       "compressed-tensors, or a cast such as --type bf16"},
      {QuantStorage::kPlain, blocks, {64, 128}, " has no layers for mono"},
  };
  for (const char* name : {"vllm", "sglang"}) {
    const Program& program = **FindProgram(name);
    EXPECT_TRUE(program.fuses_weights);
    for (const auto& c : cases) {
      const absl::Status status =
          program.check_weight(c.storage, c.scheme, c.shape);
      if (*c.error == '\0') {
        EXPECT_TRUE(status.ok()) << status;
      } else {
        ExpectError(status, absl::StatusCode::kFailedPrecondition,
                    absl::StrCat(program.title, c.error));
      }
    }
  }
}

TEST(ProgramsTest, WhatTransformersLoads) {
  const Program& program = **FindProgram("transformers");
  EXPECT_FALSE(program.fuses_weights);
  QuantScheme scheme = Scheme(NumberFormat::kInt4, Granularity::kGroup, 16);
  EXPECT_TRUE(
      program.check_weight(QuantStorage::kCompressedTensors, scheme, {7, 16})
          .ok());
  scheme.symmetric = false;
  EXPECT_TRUE(program.check_weight(QuantStorage::kGptq, scheme, {7, 16}).ok());
  ExpectError(
      program.check_weight(QuantStorage::kCompressedTensors, scheme, {7, 16}),
      absl::StatusCode::kFailedPrecondition,
      "Transformers does not load zero points of compressed-tensors; use "
      "symmetric");
  ExpectError(program.check_weight(QuantStorage::kPlain, scheme, {7, 16}),
              absl::StatusCode::kFailedPrecondition,
              "Transformers has no layers for monoquant's own storage");
}

TEST(ProgramsTest, UnknownNames) {
  ExpectError(FindProgram("llama.cpp"), absl::StatusCode::kInvalidArgument,
              "unknown program 'llama.cpp'; choose one of vllm, sglang, "
              "transformers, torch");
}

}  // namespace
}  // namespace monoquant
