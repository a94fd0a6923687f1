#include "exporters/programs.h"

#include <set>
#include <string>

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
    }
  }
}

TEST(ProgramsTest, UnknownNames) {
  ExpectError(FindProgram("llama.cpp"), absl::StatusCode::kInvalidArgument,
              "unknown program 'llama.cpp'; choose one of vllm, sglang, "
              "transformers, torch");
}

}  // namespace
}  // namespace monoquant
