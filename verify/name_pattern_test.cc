// Guards: that a pattern matches the names that Python says it does.

#include "verify/name_pattern.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;

bool Starts(absl::string_view pattern, absl::string_view name) {
  const absl::StatusOr<NamePattern> parsed = NamePattern::Parse(pattern);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return parsed.ok() && parsed->MatchesStart(name);
}

// re.match(pattern, name)
TEST(NamePatternTest, MatchesStart) {
  constexpr struct {
    absl::string_view pattern;
    absl::string_view name;
    bool matches;
  } kCases[] = {
      {"", "a", true},
      {"a", "a.b", true},
      {"b", "a.b", false},
      {"a.b", "a-b", true},
      {"a\\.b", "a-b", false},
      {".*b$", "a.b", true},
      {".*b$", "a.b.c", false},
      {"^a$", "a", true},
      {"a^", "a", false},
      {"model\\.layers\\.\\d+\\.mlp", "model.layers.12.mlp.up", true},
      {"model\\.layers\\.\\d+\\.mlp", "model.layers.x.mlp", false},
      {".*\\.(q|k|v)_proj", "l.0.k_proj", true},
      {".*\\.(q|k|v)_proj", "l.0.o_proj", false},
      {"(?:ab)+$", "ababab", true},
      {"(?:ab)+$", "aba", false},
      {"(?P<x>a)b", "ab", true},
      {"a?b", "b", true},
      {"a?(b|c)", "ac", true},
      {"a?(b|c)", "c", true},
      {"a?(b|c)", "aa", false},
      {"a{2}b", "aab", true},
      {"a{2}b", "ab", false},
      {"a{1,2}$", "aa", true},
      {"a{1,2}$", "aaa", false},
      {"a{2,}$", "aaaa", true},
      {"a{2,}$", "a", false},
      {"(a|bc){2}$", "abc", true},
      {"(a|bc){2}$", "aa", true},
      {"(a|bc){2}$", "abca", false},
      {"((a|b)|(c|d))*$", "abcd", true},
      {"((a|b)|(c|d))*$", "abce", false},
      {"a{,2}", "a{,2}", true},
      {"[a-c]+$", "abc", true},
      {"[a-c]+$", "abd", false},
      {"[^.]*$", "ab", true},
      {"[^.]*$", "a.b", false},
      {"[]a]", "]", true},
      {"[a-]", "-", true},
      {"[\\d_]+$", "1_2", true},
      {"\\w+$", "a_1", true},
      {"\\W", "a", false},
      {"\\S", "a", true},
      {"a*?b", "aab", true},
      {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
      {"x|y|", "z", true},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Starts(test.pattern, test.name), test.matches)
        << test.pattern << " " << test.name;
  }
}

TEST(NamePatternTest, MatchesModule) {
  constexpr struct {
    absl::string_view pattern;
    absl::string_view name;
    bool matches;
  } kCases[] = {
      {"layer.1", "layer.1", true},
      {"layer.1", "layer.1.fc", true},
      {"layer.1", "layer.11.fc", false},
      {"layer.*", "layer.11.fc", true},
      {"layer.", "layer.1", true},
      {"mlp.gate", "mlp.gate_proj", false},
      {"a|b", "b.c", true},
      {"fc", "layer.fc", false},  // not from the start
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<NamePattern> parsed = NamePattern::Parse(test.pattern);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->MatchesModule(test.name), test.matches)
        << test.pattern << " " << test.name;
  }
}

TEST(NamePatternTest, WhatIsNotLookedInto) {
  for (const char* pattern :
       {"(?!a)", "(?=a)", "(?<!a)", "(?i)a", "\\1", "\\b", "a**"}) {
    ExpectError(NamePattern::Parse(pattern), absl::StatusCode::kUnimplemented,
                "which is not looked into");
  }
}

TEST(NamePatternTest, WhatIsNoExpression) {
  for (const char* pattern :
       {"(", "(a", "a)", "[a", "*", "a\\", "[b-a]", "a{3,2}"}) {
    ExpectError(NamePattern::Parse(pattern), absl::StatusCode::kInvalidArgument,
                "the regular expression '");
  }
}

TEST(NamePatternTest, Limits) {
  ExpectError(
      NamePattern::Parse(std::string(100, '(') + "a" + std::string(100, ')')),
      absl::StatusCode::kInvalidArgument, "nested too deep");
  for (const std::string& pattern :
       {std::string(6000, 'a'), std::string("((a{100}){100}){100}"),
        std::string("a{1000}")}) {
    ExpectError(NamePattern::Parse(pattern), absl::StatusCode::kInvalidArgument,
                "is too large");
  }
}

}  // namespace
}  // namespace monoquant
