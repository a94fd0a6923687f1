#include "ir/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

// A second implementation, from code point to bytes.
std::string Encode(uint32_t c) {
  const auto tail = [c](int shift) {
    return static_cast<char>(0x80 | ((c >> shift) & 0x3F));
  };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
  if (c < 0x10000) {
    return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
  }
  return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

// All code points, surrogates and what lies beyond Unicode included.
TEST(Utf8Test, EveryCodePoint) {
  for (uint32_t c = 0; c < 0x120000; ++c) {
    const std::string text = Encode(c);
    const bool is_scalar = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
    size_t pos = 0;
    const uint32_t decoded = DecodeUtf8(text, &pos);
    if (is_scalar) {
      ASSERT_EQ(decoded, c);
      ASSERT_EQ(pos, text.size());
    } else {
      ASSERT_EQ(decoded, kInvalidCodePoint) << c;
      ASSERT_EQ(pos, 1u);
    }
    ASSERT_EQ(IsValidUtf8(text), is_scalar);
    // Cut short, it is not valid.
    if (text.size() > 1) {
      ASSERT_FALSE(IsValidUtf8(text.substr(0, text.size() - 1))) << c;
    }
  }
}

TEST(Utf8Test, Malformed) {
  for (const char* text :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE0\x9F\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF5\x80\x80\x80", "\xFF",
        "\xC3(", "\xE2\x28\xA1", "a\xE2\x82"}) {
    EXPECT_FALSE(IsValidUtf8(text));
  }
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("gr\xC3\xBC\xC3\x9F"));
}

}  // namespace
}  // namespace monoquant
