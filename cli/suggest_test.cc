// Guards that a mistyped flag or command gets the right hint, and that a word
// that resembles nothing gets none.

#include "cli/suggest.h"

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

TEST(SuggestTest, NearestOrNothing) {
  const std::vector<std::string> commands = {"quantize", "inspect", "plan",
                                             "compare",  "convert", "--bits"};
  const struct {
    const char* word;
    std::optional<std::string> suggestion;
  } kCases[] = {
      {"quantise", "quantize"},
      {"qauntize", "quantize"},
      {"Plan", "plan"},
      {"comapre", "compare"},
      {"--bit", "--bits"},
      {"frobnicate", {}},
      {"", {}},
      {"x", {}},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Suggest(test.word, commands), test.suggestion) << test.word;
  }
  EXPECT_EQ(Suggest("plan", {}), std::nullopt);
  EXPECT_EQ(Suggest(std::string(100000, 'a'), commands), std::nullopt);
}

TEST(SuggestTest, ASwapIsOneMistake) {
  EXPECT_EQ(Suggest("abdc", {"abxy", "abcd"}), "abcd");
}

}  // namespace
}  // namespace monoquant::cli
