// Guards Sort: the order of std::stable_sort, for elements of any kind.

#include "ir/sort.h"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Sort, SmallestFirst) {
  std::vector<std::string> names = {"b", "", "ab", "a"};
  Sort(names);
  EXPECT_THAT(names, ElementsAre("", "a", "ab", "b"));
}

TEST(Sort, EmptyAndSingle) {
  std::vector<int> none;
  Sort(none);
  EXPECT_THAT(none, IsEmpty());
  std::vector<int> one = {7};
  Sort(one);
  EXPECT_THAT(one, ElementsAre(7));
}

TEST(Sort, EqualOnesKeepTheirOrder) {
  std::mt19937 random(1);
  std::vector<std::pair<int, int>> items;
  for (int i = 0; i < 1000; ++i) {
    items.push_back({static_cast<int>(random() % 10), i});
  }
  const auto before = [](const std::pair<int, int>& a,
                         const std::pair<int, int>& b) {
    return a.first > b.first;
  };
  std::vector<std::pair<int, int>> expected = items;
  std::stable_sort(expected.begin(), expected.end(), before);
  Sort(items, before);
  EXPECT_EQ(items, expected);
}

TEST(Sort, ElementsThatCanOnlyBeMoved) {
  std::vector<std::unique_ptr<int>> items;
  for (int value : {3, 1, 2}) items.push_back(std::make_unique<int>(value));
  Sort(items, [](const auto& a, const auto& b) { return *a < *b; });
  EXPECT_EQ(*items[0], 1);
  EXPECT_EQ(*items[1], 2);
  EXPECT_EQ(*items[2], 3);
}

TEST(SortedOrder, NumbersOfWhatIsSorted) {
  const std::vector<int> values = {5, 1, 5, 0};
  EXPECT_THAT(
      SortedOrder(values.size(),
                  [&](size_t a, size_t b) { return values[a] < values[b]; }),
      ElementsAre(3, 1, 0, 2));
}

}  // namespace
}  // namespace monoquant
