// Guards the text of sizes, times and names in everything that people read,
// above all that a tensor's name cannot break a line or drive a terminal.

#include "cli/human.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

TEST(HumanBytesTest, ChangesUnitBeforeFourDigits) {
  const struct {
    uint64_t bytes;
    const char* text;
  } kCases[] = {
      {0, "0 bytes"},        {1, "1 byte"},
      {1023, "1023 bytes"},  {1024, "1.0 KiB"},
      {1536, "1.5 KiB"},     {1048575, "1.0 MiB"},
      {7u << 20, "7.0 MiB"}, {std::numeric_limits<uint64_t>::max(), "16.0 EiB"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(HumanBytes(test.bytes), test.text);
  }
}

TEST(HumanSecondsTest, TwoUnitsAtMost) {
  const struct {
    double seconds;
    const char* text;
  } kCases[] = {
      {-1, "0.00 s"},      {0.044, "0.04 s"},   {0.996, "1.0 s"},
      {9.96, "10 s"},      {59.4, "59 s"},      {59.6, "1 min 0 s"},
      {200, "3 min 20 s"}, {7500, "2 h 5 min"}, {1e300, "years"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(HumanSeconds(test.seconds), test.text);
  }
}

TEST(HumanDbTest, InfinityIsExact) {
  EXPECT_EQ(HumanDb(40.649), "40.6 dB");
  EXPECT_EQ(HumanDb(std::numeric_limits<double>::infinity()), "exact");
  EXPECT_EQ(HumanDb(-std::numeric_limits<double>::infinity()), "-inf dB");
}

TEST(HumanRatioTest, NeverDividesByZero) {
  EXPECT_EQ(HumanRatio(388, 100), "3.88 times smaller");
  EXPECT_EQ(HumanRatio(100, 102), "1.02 times larger");
  EXPECT_EQ(HumanRatio(7, 7), "the same size");
  EXPECT_EQ(HumanRatio(0, 7), "the same size");
  EXPECT_EQ(HumanRatio(7, 0), "the same size");
}

TEST(PrintableTest, EscapesWhatATerminalWouldObey) {
  const struct {
    std::string text;
    const char* printable;
  } kCases[] = {
      {"layers.0.weight", "layers.0.weight"},
      {"a\nb\tc\r", "a\\nb\\tc\\r"},
      {"\x1b[31mred", "\\x1b[31mred"},
      {std::string("\0", 1), "\\x00"},
      {"\x7f", "\\x7f"},
      {"gr\xc3\xb6\xc3\x9f"
       "e",
       "gr\xc3\xb6\xc3\x9f"
       "e"},
      {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
      {"\xc2\x9b", "\\xc2\\x9b"},           // C1 control: CSI
      {"\xc0\xaf", "\\xc0\\xaf"},           // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},  // surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
      {"\xe2\x82", "\\xe2\\x82"},  // cut off
      {"\xe2\x80\xae"
       "gpj",
       "\\xe2\\x80\\xaegpj"},  // right to left
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(Printable(test.text), test.printable);
  }
}

TEST(DisplayWidthTest, CountsCodePoints) {
  EXPECT_EQ(DisplayWidth("abc"), 3u);
  EXPECT_EQ(DisplayWidth("gr\xc3\xb6\xc3\x9f"
                         "e"),
            5u);
}

TEST(ShortenedTest, CutsBetweenCodePoints) {
  EXPECT_EQ(Shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(Shortened("abcdefg", 6), "abc...");
  EXPECT_EQ(Shortened("gr\xc3\xb6\xc3\x9f"
                      "er.weight",
                      7),
            "gr\xc3\xb6\xc3\x9f...");
}

}  // namespace
}  // namespace monoquant::cli
