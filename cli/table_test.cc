// Guards the alignment of every table that the tool prints.

#include "cli/table.h"

#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

TEST(TableTest, AlignsColumnsByCodePoints) {
  Table table({"tensor", "bytes", "note"},
              {Table::Align::kLeft, Table::Align::kRight, Table::Align::kLeft});
  table.Add({"a", "1", ""});
  table.Add(
      {"gr\xc3\xb6\xc3\x9f"
       "er.weight",
       "12345", "two\nlines"});
  EXPECT_EQ(table.ToString(),
            "tensor         bytes  note\n"
            "a                  1\n"
            "gr\xc3\xb6\xc3\x9f"
            "er.weight  12345  two\\nlines\n");
}

TEST(TableTest, HeaderAlone) {
  EXPECT_EQ(Table({"tensor"}, {}).ToString(), "tensor\n");
}

}  // namespace
}  // namespace monoquant::cli
