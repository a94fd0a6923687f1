#include "wasm/decimal.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

namespace monoquant {
namespace {

constexpr int kDigitsAtOnce = 9;  // 10^9 is the last one of 32 bits

// No two doubles, and no point between two, differ behind this digit alone.
constexpr int kMaxDigits = 800;

// Numbers from 10^310 on are infinite, and those below 10^-330 zero.
constexpr int64_t kInfinite = 310;
constexpr int64_t kZero = -330;

// An exponent that no number of digits makes up for.
constexpr int64_t kMaxExponent = int64_t{1} << 40;

constexpr int kMantissaBits = std::numeric_limits<double>::digits;
constexpr int kMinExponent = std::numeric_limits<double>::min_exponent;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

uint32_t PowerOfTen(int exponent) {
  uint32_t power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

// A natural number of any size.
class Natural {
 public:
  bool IsZero() const { return words_.empty(); }

  void MultiplyAndAdd(uint32_t factor, uint32_t summand) {
    uint64_t carry = summand;
    for (uint32_t& word : words_) {
      carry += uint64_t{word} * factor;
      word = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    if (carry > 0) words_.push_back(static_cast<uint32_t>(carry));
  }

  // Rounds down. Returns what is left.
  uint32_t Divide(uint32_t divisor) {
    uint64_t rest = 0;
    for (size_t i = words_.size(); i-- > 0;) {
      rest = rest << 32 | words_[i];
      words_[i] = static_cast<uint32_t>(rest / divisor);
      rest %= divisor;
    }
    while (!words_.empty() && words_.back() == 0) words_.pop_back();
    return static_cast<uint32_t>(rest);
  }

  void AppendZeroWords(size_t count) {
    words_.insert(words_.begin(), count, 0);
  }

  // The 64 bits from the highest one that is set, that one's place counted from
  // one, and whether there are ones below them. Not of zero.
  uint64_t Top(int* bits, bool* more) const {
    uint64_t top = 0;
    size_t i = words_.size();
    for (int n = 0; n < 2; ++n) top = top << 32 | (i > 0 ? words_[--i] : 0);
    *bits = static_cast<int>(words_.size()) * 32;
    uint32_t next = i > 0 ? words_[--i] : 0;
    while (top >> 63 == 0) {
      top = top << 1 | next >> 31;
      next <<= 1;
      --*bits;
    }
    *more = next != 0;
    while (i > 0) *more |= words_[--i] != 0;
    return top;
  }

 private:
  std::vector<uint32_t> words_;  // lowest first; the last one is not zero
};

// top * 2^(exponent - 64), of which there is more behind or not, as a double.
double Round(uint64_t top, int exponent, bool more) {
  // Numbers below the smallest normal one have fewer bits.
  const int bits =
      std::min(kMantissaBits, kMantissaBits - (kMinExponent - exponent));
  if (bits < 0) return 0;
  const int dropped = 64 - bits;
  uint64_t kept = dropped == 64 ? 0 : top >> dropped;
  const uint64_t rest = top << (64 - dropped);
  constexpr uint64_t kHalf = uint64_t{1} << 63;
  if (rest > kHalf || (rest == kHalf && (more || (kept & 1) != 0))) ++kept;
  return std::ldexp(static_cast<double>(kept), exponent - bits);
}

// digits * 10^exponent, of which there is more behind or not.
double Scale(Natural digits, int exponent, bool more) {
  int binary_exponent = 0;
  if (exponent < 0) {
    // As many bits behind the point as leave 64 of the quotient.
    const int words = -exponent / 8 + 3;
    digits.AppendZeroWords(static_cast<size_t>(words));
    binary_exponent = -32 * words;
  }
  while (exponent != 0) {
    const int step = std::min(std::abs(exponent), kDigitsAtOnce);
    if (exponent > 0) {
      digits.MultiplyAndAdd(PowerOfTen(step), 0);
      exponent -= step;
    } else {
      more |= digits.Divide(PowerOfTen(step)) > 0;
      exponent += step;
    }
  }
  int bits;
  bool below;
  const uint64_t top = digits.Top(&bits, &below);
  return Round(top, binary_exponent + bits, more || below);
}

}  // namespace

double ReadDecimal(const char* text, const char** end) {
  const char* p = text;
  const bool negative = *p == '-';
  if (*p == '-' || *p == '+') ++p;

  Natural digits;
  int count = 0;  // of the digits that are kept, but for leading zeros
  int64_t exponent = 0;
  bool more = false;
  bool any = false;
  bool point = false;
  for (;; ++p) {
    if (*p == '.' && !point) {
      point = true;
      continue;
    }
    if (!IsDigit(*p)) break;
    any = true;
    if (count < kMaxDigits) {
      digits.MultiplyAndAdd(10, static_cast<uint32_t>(*p - '0'));
      if (!digits.IsZero()) ++count;
      if (point) --exponent;
    } else {
      more |= *p != '0';
      if (!point) ++exponent;
    }
  }
  *end = any ? p : text;
  if (!any) return 0;

  if (*p == 'e' || *p == 'E') {
    const char* q = p + 1;
    const bool down = *q == '-';
    if (*q == '-' || *q == '+') ++q;
    if (IsDigit(*q)) {
      int64_t given = 0;
      for (; IsDigit(*q); ++q) {
        given = std::min(given * 10 + (*q - '0'), kMaxExponent);
      }
      exponent += down ? -given : given;
      *end = q;
    }
  }

  double value = 0;
  if (!digits.IsZero()) {
    const int64_t places = count + exponent;  // before the point
    if (places > kInfinite) {
      value = std::numeric_limits<double>::infinity();
    } else if (places > kZero) {
      value = Scale(std::move(digits), static_cast<int>(exponent), more);
    }
  }
  return negative ? -value : value;
}

}  // namespace monoquant
