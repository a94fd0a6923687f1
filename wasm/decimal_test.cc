// Guards ReadDecimal: the same double as libc's strtod, bit by bit.

#include "wasm/decimal.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

void ExpectAsStrtod(const std::string& text) {
  char* expected_end;
  const double expected = std::strtod(text.c_str(), &expected_end);
  const char* end;
  const double value = ReadDecimal(text.c_str(), &end);
  EXPECT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(expected))
      << text << ": " << value << ", not " << expected;
  EXPECT_EQ(end - text.c_str(), expected_end - text.c_str()) << text;
}

std::string Printed(const char* format, double value) {
  char text[1200];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

TEST(ReadDecimal, Spellings) {
  for (const char* text : {"0",
                           "-0",
                           "+1",
                           "1",
                           "12.5",
                           "-12.5e-3",
                           "1E+2",
                           ".5",
                           "5.",
                           "00012",
                           "0.00012",
                           "1e",
                           "1e+",
                           "1ex",
                           "1.2.3",
                           "",
                           "-",
                           ".",
                           "e5",
                           "abc",
                           "1 2",
                           "0e999999999999999999999",
                           "0.0e-9",
                           "1e5000",
                           "-1e5000",
                           "1e-5000",
                           "1e99999999999999999999",
                           "1e-99999999999999999999"}) {
    ExpectAsStrtod(text);
  }
}

TEST(ReadDecimal, EdgesOfTheFormat) {
  for (const char* text : {"1.7976931348623157e308", "1.7976931348623158e308",
                           "1.7976931348623159e308", "2.2250738585072014e-308",
                           "2.2250738585072011e-308", "2.225073858507201e-308",
                           "4.9406564584124654e-324", "2.4703282292062327e-324",
                           "2.4703282292062328e-324", "2.47e-324", "7.4e-324",
                           "9007199254740993", "9007199254740992.999999",
                           "9007199254740993.00001", "18446744073709551615",
                           "18446744073709551616", "0.1", "1e22", "1e23"}) {
    ExpectAsStrtod(text);
  }
}

TEST(ReadDecimal, DoublesAndWhatLiesBetweenThem) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    ExpectAsStrtod(Printed("%.17g", value));
    ExpectAsStrtod(Printed("%.5g", value));
    // In full, and so half way between two doubles, and beside that.
    const std::string exact = Printed("%.766e", value);
    ExpectAsStrtod(exact);
    if (i % 10 != 0) continue;
    const double next = std::nextafter(value, 0.0);
    if (std::abs(value) < 1e300 && std::abs(next) > 1e-290) {
      // The half of a double's last place has one binary digit more: its exact
      // spelling is that of the sum, in a format that has room for it.
      char half[1200];
      std::snprintf(half, sizeof half, "%.1080Le",
                    (static_cast<long double>(value) + next) / 2);
      ExpectAsStrtod(half);
      std::string above = half;
      above.insert(above.find('e'), "0000000000000001");
      ExpectAsStrtod(above);
    }
  }
}

TEST(ReadDecimal, SmallNumbersWithFewBits) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 1000; ++i) {
    const double value =
        std::bit_cast<double>(random() >> (12 + random() % 50));
    ExpectAsStrtod(Printed("%.17g", value));
    ExpectAsStrtod(Printed("%.1080e", value));
  }
}

TEST(ReadDecimal, MoreDigitsThanCount) {
  const std::string half =
      "1.00000000000000011102230246251565404236316680908203";
  const std::string zeros(5000, '0');
  ExpectAsStrtod(half + "125");
  ExpectAsStrtod(half + "125" + zeros);
  ExpectAsStrtod(half + "125" + zeros + "1");
  ExpectAsStrtod("1" + zeros);
  ExpectAsStrtod("1" + zeros + "e-5000");
  ExpectAsStrtod("0." + zeros + "1e5001");
  ExpectAsStrtod("0." + std::string(200000, '0') + "1e200000");
  ExpectAsStrtod(std::string(400, '9') + ".5e-399");
  ExpectAsStrtod("-" + std::string(1000, '7') + "e-1300");
}

}  // namespace
}  // namespace monoquant
