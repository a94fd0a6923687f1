// Guards: that names out of a file stay on one line and harmless, and that
// lists of them stay short.

#include <string>

#include "frontends/name_list.h"
#include "frontends/quoted.h"
#include "gtest/gtest.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

TEST(QuotedTest, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Quoted(""), "''");
  EXPECT_EQ(Quoted("layer.0.weight"), "'layer.0.weight'");
  EXPECT_EQ(Quoted("gr\xc3\xb6\xc3\x9f"
                   "e"),
            "'gr\xc3\xb6\xc3\x9f"
            "e'");
  EXPECT_EQ(Quoted("a\nb\x1b[2J\x7f"), "'a\\x0ab\\x1b[2J\\x7f'");
  EXPECT_EQ(Quoted("\xff"), "'\\xff'");
  EXPECT_EQ(Quoted("\xc2\x9b"), "'\\xc2\\x9b'");           // C1: CSI
  EXPECT_EQ(Quoted("\xe2\x80\xae"), "'\\xe2\\x80\\xae'");  // right to left
  EXPECT_EQ(Quoted(std::string(1, '\0')), "'\\x00'");
}

TEST(QuotedTest, CutsLongNamesBetweenCharacters) {
  for (size_t size = 150; size < 170; ++size) {
    std::string name(size, 'x');
    for (int i = 0; i < 100; ++i) name += "\xf0\x9f\x98\x80";
    const std::string quoted = Quoted(name);
    EXPECT_LT(quoted.size(), 180);
    EXPECT_TRUE(IsValidUtf8(quoted));
    EXPECT_EQ(quoted.substr(quoted.size() - 4), "...'");
  }
}

TEST(NameListTest, ShowsTheFirstAndCountsTheRest) {
  NameList names;
  EXPECT_TRUE(names.empty());
  EXPECT_EQ(names.ToString(), "");
  names.Add("a");
  names.Add("b", "int");
  EXPECT_EQ(names.ToString(), "'a', 'b' (int)");
  for (int i = 0; i < 20; ++i) names.Add("c");
  EXPECT_EQ(names.count(), 22);
  EXPECT_EQ(names.ToString(),
            "'a', 'b' (int), 'c', 'c', 'c', 'c', 'c', 'c' and 14 more");
  NameList sum;
  sum.Add("first");
  sum.Add(names);
  EXPECT_EQ(sum.count(), 23);
  EXPECT_EQ(sum.ToString(),
            "'first', 'a', 'b' (int), 'c', 'c', 'c', 'c', 'c' and 15 more");
}

}  // namespace
}  // namespace monoquant
