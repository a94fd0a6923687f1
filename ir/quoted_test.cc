#include "ir/quoted.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

TEST(QuotedNameTest, OneLineWhateverItIs) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "''"},
      {"fc.weight", "'fc.weight'"},
      {"gr\xC3\xBC\xC3\x9F", "'gr\xC3\xBC\xC3\x9F'"},
      {"a\nb\x1B[2J", "'a\\x0ab\\x1b[2J'"},
      {"\x7F\xC2\x85", "'\\x7f\\xc2\\x85'"},
      {"x\xE2\x80\xAEy", "'x\\xe2\\x80\\xaey'"},
      {"\xFF\xC3", "'\\xff\\xc3'"},
      {std::string("a\0b", 3), "'a\\x00b'"},
  };
  for (const auto& [name, quoted] : cases) EXPECT_EQ(QuotedName(name), quoted);
}

TEST(QuotedNameTest, IsBounded) {
  EXPECT_LT(QuotedName(std::string(100000, 'x')).size(), 180u);
  EXPECT_LT(QuotedName(std::string(100000, '\n')).size(), 180u);
}

}  // namespace
}  // namespace monoquant
