#include "core/closest_name.h"

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/recipe.h"
#include "gtest/gtest.h"

namespace monoquant {
namespace {

TEST(GlobDistanceTest, Table) {
  const struct {
    const char* glob;
    const char* name;
    size_t distance;
  } cases[] = {
      {"", "", 0},
      {"a", "", 1},
      {"", "abc", 3},
      {"abc", "abc", 0},
      {"abc", "abd", 1},
      {"abc", "ac", 1},
      {"ac", "abc", 1},
      {"kitten", "sitting", 3},
      {"*", "", 0},
      {"*", "anything", 0},
      {"?", "x", 0},
      {"?", "", 1},
      {"*.weight", "fc.weight", 0},
      {"*.wieght", "fc.weight", 2},
      {"layer.*.bias", "layer.0.weight.bias", 0},
      {"a*b*c", "xaxbxcx", 2},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(GlobDistance(c.glob, c.name), c.distance)
        << c.glob << " " << c.name;
  }
}

// Distance 0 is exactly a match.
TEST(GlobDistanceTest, ZeroMeansMatch) {
  std::vector<std::string> globs = {""};
  std::vector<std::string> names = {""};
  for (size_t i = 0; globs[i].size() < 4; ++i) {
    for (char c : {'a', 'b', '*', '?'}) globs.push_back(globs[i] + c);
  }
  for (size_t i = 0; names[i].size() < 4; ++i) {
    for (char c : {'a', 'b'}) names.push_back(names[i] + c);
  }
  for (const std::string& glob : globs) {
    for (const std::string& name : names) {
      ASSERT_EQ(GlobDistance(glob, name) == 0, GlobMatch(glob, name))
          << glob << " " << name;
    }
  }
}

TEST(ClosestNameTest, Table) {
  const std::vector<absl::string_view> names = {
      "bert.encoder.layer.0.attention.self.query.weight",
      "bert.encoder.layer.0.attention.self.key.weight",
      "bert.pooler.dense.weight", "bert.pooler.dense.bias", "lm_head.weight"};
  const struct {
    const char* glob;
    const char* closest;
  } cases[] = {
      {"lm_head.wieght", "lm_head.weight"},
      {"lm-head.weight", "lm_head.weight"},
      {"*.self.qeury.*", "bert.encoder.layer.0.attention.self.query.weight"},
      {"encoder.layer.0.attention.self.key.weight",
       "bert.encoder.layer.0.attention.self.key.weight"},
      {"pooler.dense.bias", "bert.pooler.dense.bias"},
      {"*.dense.biass", "bert.pooler.dense.bias"},
      {"zzzz", ""},
      {"conv1", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ClosestName(c.glob, names), c.closest) << c.glob;
  }
  EXPECT_EQ(ClosestName("a", {}), "");
}

}  // namespace
}  // namespace monoquant
