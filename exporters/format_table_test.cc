// Guards: README.md and docs/formats.md have the registry's table of formats.

#include "exporters/format_table.h"

#include <fstream>
#include <sstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::HasSubstr;

TEST(FormatTableTest, IsInTheDocuments) {
  for (const char* page : {"README.md", "docs/formats.md"}) {
    std::ifstream file(page);
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_THAT(text.str(), HasSubstr(FormatTable()))
        << "bazel run //exporters:update_docs writes it into " << page;
  }
}

TEST(FormatTableTest, TellsWhatAStorageHolds) {
  const std::string table = FormatTable();
  EXPECT_THAT(table, HasSubstr("| `awq` | model directory of `.safetensors` | "
                               "`int4`, `uint4` axis, group, also asymmetric; "
                               "`fp16`, `bf16` | `*.weight` of Linear layers"));
  EXPECT_THAT(table, HasSubstr("| `fp8` | model directory of `.safetensors` | "
                               "`fp8_e4m3` block; `fp16`, `bf16` | "));
  EXPECT_THAT(table,
              HasSubstr("`int8`, `uint8` axis; `fp16`, `bf16` | `*.weight` of "
                        "Linear layers, convolutions, embeddings (`uint8`), "
                        "weights of LSTM, GRU and cells | `load_state_dict` "
                        "after"));
  EXPECT_THAT(table, HasSubstr("`fp16`, `bf16` | any | `torch.load("));
}

}  // namespace
}  // namespace monoquant
