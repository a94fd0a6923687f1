// Guards: that lists of names stay short.

#include "frontends/name_list.h"

#include "gtest/gtest.h"

namespace monoquant {
namespace {

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
