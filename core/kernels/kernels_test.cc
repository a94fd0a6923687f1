// Every table gives the bits of the reference, and the reference those of its
// definitions.

#include "core/kernels/kernels.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/kernels/element.h"
#include "core/level_grid.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace monoquant {
namespace {

using testing::Random;

// Lengths around those of vectors, blocks and what is done at a time.
constexpr size_t kCounts[] = {0,  1,  2,  3,  7,  8,   9,   15,  16,  17,
                              31, 33, 63, 64, 65, 127, 128, 130, 999, 2048};

template <typename T>
std::vector<uint8_t> Bytes(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Of all magnitudes, NaN and infinity among them.
std::vector<float> AnyFloats(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = element::BitCast<float>(static_cast<uint32_t>(random.Bits()));
  }
  return values;
}

// What comes out of one table, to be compared with what comes out of another.
class KernelsTest : public ::testing::TestWithParam<const Kernels*> {
 protected:
  const Kernels& kernels() const { return *GetParam(); }
};

// All together, and those alone that are finite: there may be a faster way for
// them.
TEST_P(KernelsTest, EveryHalfAndBFloat16) {
  for (bool finite : {false, true}) {
    std::vector<uint16_t> halves;
    std::vector<uint16_t> brains;
    for (size_t i = 0; i < 65536 + 5; ++i) {
      const uint16_t bits = static_cast<uint16_t>(i);
      if (!finite || !element::IsNonfinite(element::FromHalf(bits))) {
        halves.push_back(bits);
      }
      if (!finite || !element::IsNonfinite(element::FromBFloat16(bits))) {
        brains.push_back(bits);
      }
    }
    const auto check = [finite](auto cast, auto expected,
                                const std::vector<uint16_t>& all) {
      std::vector<float> found(all.size());
      EXPECT_EQ(cast(Bytes(all).data(), all.size(), found.data()), finite);
      for (size_t i = 0; i < all.size(); ++i) {
        ASSERT_EQ(element::BitCast<uint32_t>(found[i]),
                  element::BitCast<uint32_t>(expected(all[i])))
            << all[i];
      }
    };
    check(kernels().half_to_float, element::FromHalf, halves);
    check(kernels().bfloat16_to_float, element::FromBFloat16, brains);
  }
}

// A cast tells of a single value that is not finite, wherever it is.
TEST_P(KernelsTest, CastsTellOfNonfiniteValues) {
  const auto check = [&](auto cast, uint16_t largest, uint16_t infinity) {
    for (size_t count : kCounts) {
      std::vector<uint16_t> in(count, largest);
      std::vector<float> out(count);
      EXPECT_TRUE(cast(Bytes(in).data(), count, out.data()));
      for (size_t i = 0; i < count; i += 1 + count / 40) {
        for (uint16_t bits : {infinity, static_cast<uint16_t>(~0u)}) {
          in[i] = bits;
          EXPECT_FALSE(cast(Bytes(in).data(), count, out.data()))
              << i << " of " << count;
        }
        in[i] = largest;
      }
    }
  };
  check(kernels().half_to_float, 0xfbff, 0x7c00);
  check(kernels().bfloat16_to_float, 0xff7f, 0x7f80);
}

// All signs and exponents, with the mantissas on and beside each boundary
// between two halves.
TEST_P(KernelsTest, FloatsToSixteenBits) {
  std::vector<float> values = AnyFloats(100003, 1);
  for (uint32_t upper = 0; upper < 1u << 16; ++upper) {
    for (uint32_t lower : {0u, 1u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u,
                           0x8001u, 0xefffu, 0xf000u, 0xf001u, 0xffffu}) {
      values.push_back(element::BitCast<float>(upper << 16 | lower));
    }
  }
  std::vector<uint8_t> half(2 * values.size());
  std::vector<uint8_t> brain(2 * values.size());
  kernels().float_to_half(values.data(), values.size(), half.data());
  kernels().float_to_bfloat16(values.data(), values.size(), brain.data());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto found = [i](const std::vector<uint8_t>& bytes) {
      return bytes[2 * i] | bytes[2 * i + 1] << 8;
    };
    ASSERT_EQ(found(half), element::ToHalf(values[i])) << values[i];
    ASSERT_EQ(found(brain), element::ToBFloat16(values[i])) << values[i];
  }
}

TEST_P(KernelsTest, LengthsAndAlignment) {
  for (size_t count : kCounts) {
    const std::vector<float> values = AnyFloats(count, count);
    // At an odd address, with a byte behind it that must not change.
    std::vector<uint8_t> found(2 * count + 2, 0xaa);
    std::vector<uint8_t> expected = found;
    kernels().float_to_half(values.data(), count, found.data() + 1);
    kScalarKernels.float_to_half(values.data(), count, expected.data() + 1);
    ASSERT_EQ(found, expected) << count;
    std::vector<float> back(count + 1, 42.0f);
    kernels().half_to_float(found.data() + 1, count, back.data());
    EXPECT_EQ(back[count], 42.0f);
    for (size_t i = 0; i < count; ++i) {
      const uint32_t half = found[2 * i + 1] | uint32_t{found[2 * i + 2]} << 8;
      ASSERT_EQ(element::BitCast<uint32_t>(back[i]),
                element::BitCast<uint32_t>(element::FromHalf(half)));
    }
  }
}

TEST_P(KernelsTest, CountsNonfinite) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (size_t count : kCounts) {
    std::vector<float> values(count, std::numeric_limits<float>::max());
    EXPECT_EQ(kernels().count_nonfinite(values.data(), count), 0u);
    size_t expected = 0;
    for (size_t i = 0; i < count; i += 3) {
      values[i] = i % 2 == 0 ? -kInf : std::nanf("");
      ++expected;
      ASSERT_EQ(kernels().count_nonfinite(values.data(), count), expected);
    }
  }
}

TEST_P(KernelsTest, Ranges) {
  for (testing::Values kind : testing::kAllValues) {
    for (size_t count : kCounts) {
      const std::vector<float> values = testing::Make(kind, count, count);
      for (size_t run : {1, 5, 16, 32, 128, 1000, 2000}) {
        std::vector<ValueRange> found(count / run + 1, {-1e-3f, 1e-3f});
        std::vector<ValueRange> expected = found;
        kernels().extend_ranges(values.data(), count, run, found.data());
        kScalarKernels.extend_ranges(values.data(), count, run,
                                     expected.data());
        for (size_t i = 0; i < found.size(); ++i) {
          ASSERT_EQ(found[i].min, expected[i].min) << count << " " << run;
          ASSERT_EQ(found[i].max, expected[i].max) << count << " " << run;
        }
      }
    }
  }
}

// A format of small floats, from its definition.
struct FloatFormat {
  LevelKind kind;
  int exponent_bits;
  int mantissa_bits;
  uint32_t largest;  // its code
  bool has_infinity;
  bool has_minus_zero;

  uint32_t sign() const { return 1u << (exponent_bits + mantissa_bits); }
  int bias() const { return (1 << (exponent_bits - 1)) - 1; }

  double NumberOf(uint32_t code) const {
    const uint32_t magnitude = code & (sign() - 1);
    const int exponent = static_cast<int>(magnitude >> mantissa_bits);
    const double mantissa =
        static_cast<double>(magnitude & ((1u << mantissa_bits) - 1)) /
        (1 << mantissa_bits);
    double number = exponent == 0 ? std::ldexp(mantissa, 1 - bias())
                                  : std::ldexp(1 + mantissa, exponent - bias());
    if (magnitude > largest) {
      number = has_infinity && magnitude == largest + 1
                   ? std::numeric_limits<double>::infinity()
                   : std::nan("");
    }
    return (code & sign()) != 0 ? -number : number;
  }

  float most() const { return static_cast<float>(NumberOf(largest)); }

  // The nearest code, by looking at all of them.
  uint8_t Nearest(float value) const {
    // From far away all of them would be at the same distance.
    const double magnitude = std::fmin(std::fabs(static_cast<double>(value)),
                                       static_cast<double>(most()));
    uint32_t best = 0;
    for (uint32_t code = 1; code <= largest; ++code) {
      const double distance = std::fabs(NumberOf(code) - magnitude);
      const double least = std::fabs(NumberOf(best) - magnitude);
      if (distance < least || (distance == least && code % 2 == 0)) best = code;
    }
    const bool minus = std::signbit(value) && (value != 0 || has_minus_zero);
    return static_cast<uint8_t>(best | (minus ? sign() : 0u));
  }

  LevelGrid Grid() const {
    const int32_t end = static_cast<int32_t>(most());
    return {kind,
            -end,
            end,
            true,
            Convention::kCompressedTensors,
            /*fused_add=*/false};
  }
};

constexpr FloatFormat kFloatFormats[] = {
    {LevelKind::kE4M3, 4, 3, 0x7e, false, true},
    {LevelKind::kE5M2, 5, 2, 0x7b, true, true},
    {LevelKind::kE2M1, 2, 1, 0x07, false, false},
};

// Values and their codes.
using Known = std::vector<std::pair<float, uint8_t>>;

Known MakeKnown(const FloatFormat& format) {
  Known pairs;
  const auto add = [&](float value) {
    if (!std::isfinite(value)) return;
    pairs.emplace_back(value, format.Nearest(value));
  };
  // Every bfloat16 and every half, subnormal ones among them.
  for (uint32_t i = 0; i < 65536; ++i) {
    add(element::FromBFloat16(i));
    add(element::FromHalf(i));
  }
  // Every code, the middle between it and the next, and the floats beside
  // those.
  for (uint32_t code = 0; code <= format.largest; ++code) {
    const float number = static_cast<float>(format.NumberOf(code));
    const float next = code == format.largest
                           ? number + number / 8
                           : static_cast<float>(format.NumberOf(code + 1));
    for (float value : {number, number / 2 + next / 2}) {
      for (float sign : {1.0f, -1.0f}) {
        add(sign * value);
        add(sign * std::nextafter(value, 0.0f));
        add(sign * std::nextafter(value, 1e9f));
      }
    }
  }
  // What becomes subnormal or infinite in a division.
  for (float value : {1e-45f, 1e-40f, 0x1p-126f, 1e9f, 3e38f}) {
    add(value);
    add(-value);
  }
  return pairs;
}

// Which rounding is right does not depend on the table: looked up once.
const Known& KnownCodes(const FloatFormat& format) {
  static const auto* const known = [] {
    auto* all = new std::map<LevelKind, Known>;
    for (const FloatFormat& f : kFloatFormats) (*all)[f.kind] = MakeKnown(f);
    return all;
  }();
  return known->at(format.kind);
}

std::vector<float> ValuesOf(const Known& known) {
  std::vector<float> values;
  for (const auto& [value, code] : known) values.push_back(value);
  return values;
}

TEST_P(KernelsTest, SmallFloatsAreTheNearestCode) {
  for (const FloatFormat& format : kFloatFormats) {
    const Known& known = KnownCodes(format);
    const std::vector<float> values = ValuesOf(known);
    std::vector<uint8_t> codes(values.size());
    const QParams one = {1, 0};
    kernels().round_to_levels(format.Grid(), &one, values.size(), values.data(),
                              values.size(), codes.data());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(codes[i], known[i].second)
          << values[i] << " to " << format.most();
    }
  }
}

#if defined(__SSE2__)

// A process may have been told to flush subnormals to zero, by a library built
// with -ffast-math for one.
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040u); }
  ~FlushSubnormals() { _mm_setcsr(before_); }

 private:
  unsigned before_;
};

TEST_P(KernelsTest, SmallFloatsWithoutSubnormalFloats) {
  for (const FloatFormat& format : kFloatFormats) {
    const Known& known = KnownCodes(format);
    const std::vector<float> values = ValuesOf(known);
    std::vector<uint8_t> codes(values.size());
    std::vector<float> decoded[2];
    const QParams one = {1, 0};
    for (bool flush : {false, true}) {
      decoded[flush].resize(codes.size());
      std::optional<FlushSubnormals> flushing;
      if (flush) flushing.emplace();
      kernels().round_to_levels(format.Grid(), &one, values.size(),
                                values.data(), values.size(), codes.data());
      kernels().levels_to_values(format.kind, &one, codes.size(), codes.data(),
                                 codes.size(), decoded[flush].data());
      flushing.reset();
      for (size_t i = 0; i < values.size(); ++i) {
        // What is flushed is a -0, which these formats tell from less than 0.
        const bool flushed =
            values[i] < 0 && values[i] > -0x1p-126f && !format.has_minus_zero;
        ASSERT_EQ(codes[i], flush && flushed ? 0 : known[i].second)
            << values[i] << " " << flush;
      }
    }
    if (!format.has_minus_zero) continue;
    EXPECT_EQ(Bytes(decoded[0]), Bytes(decoded[1]));
  }
}

#endif  // __SSE2__

TEST_P(KernelsTest, EveryCodeOfSmallFloats) {
  for (const FloatFormat& format : kFloatFormats) {
    std::vector<uint8_t> codes(2 * format.sign() + 3);
    for (size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<uint8_t>(i % (2 * format.sign()));
    }
    std::vector<float> values(codes.size());
    const QParams one = {1, 0};
    kernels().levels_to_values(format.kind, &one, codes.size(), codes.data(),
                               codes.size(), values.data());
    for (size_t i = 0; i < codes.size(); ++i) {
      const double expected = format.NumberOf(codes[i]);
      const uint32_t minus = (codes[i] & format.sign()) != 0 ? 1u << 31 : 0;
      const uint32_t bits =
          std::isnan(expected)
              ? element::kQuietNan | minus
              : element::BitCast<uint32_t>(static_cast<float>(expected));
      ASSERT_EQ(element::BitCast<uint32_t>(values[i]), bits)
          << i << " to " << format.most();
    }
  }
}

// Quotients, and the sign of those that are too small for a code.
TEST_P(KernelsTest, LevelsOfSmallFloats) {
  Random random(17);
  for (const FloatFormat& format : kFloatFormats) {
    for (size_t count : kCounts) {
      const size_t run = 1 + random.Below(count + 40);
      std::vector<QParams> params(count / run + 1);
      for (QParams& p : params) p.scale = std::exp2(random.Uniform(-140, 20));
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) {
        values[i] =
            params[i / run].scale * random.Uniform(-1.1f, 1.1f) * format.most();
        if (random.Below(4) == 0) values[i] *= 0x1p-12f;
        if (random.Below(9) == 0) values[i] = random.Finite();
        if (random.Below(9) == 0) values[i] = -0.0f;
      }
      std::vector<uint8_t> found(count + 1, 0xaa);
      kernels().round_to_levels(format.Grid(), params.data(), run,
                                values.data(), count, found.data());
      EXPECT_EQ(found[count], 0xaa);
      for (size_t i = 0; i < count; ++i) {
        const float quotient = values[i] / params[i / run].scale;
        const float most = format.most();
        const float clamped = std::fmin(std::fmax(quotient, -most), most);
        ASSERT_EQ(found[i], format.Nearest(std::copysign(clamped, values[i])))
            << values[i] << " / " << params[i / run].scale;
      }
      std::vector<float> back(count + 1, 42.0f);
      std::vector<float> expected_back = back;
      kernels().levels_to_values(format.kind, params.data(), run, found.data(),
                                 count, back.data());
      kScalarKernels.levels_to_values(format.kind, params.data(), run,
                                      found.data(), count,
                                      expected_back.data());
      ASSERT_EQ(Bytes(back), Bytes(expected_back)) << count << " " << run;
    }
  }
}

// A table of bitsandbytes, as its sources have it.
struct Codebook {
  LevelKind kind;
  // By code.
  std::vector<float> numbers;
};

std::vector<Codebook> Codebooks() {
  Codebook nf4 = {
      LevelKind::kNf4,
      {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
       -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f,
       0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
       0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
       0.7229568362236023f, 1.0f}};
  Codebook fp4 = {LevelKind::kFp4, {}};
  for (float sign : {1.0f, -1.0f}) {
    for (float number : {0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f}) {
      fp4.numbers.push_back(number == 0 ? 0 : sign * number / 12);
    }
  }
  return {nf4, fp4};
}

LevelGrid GridOfBook(LevelKind kind) {
  return {kind, -1, 1, true, Convention::kTorch, /*fused_add=*/false};
}

// The code of the first number, in order, whose middle with the next one is not
// below `x`.
uint8_t CodeIn(const Codebook& book, float x) {
  std::vector<uint8_t> order(16);
  for (size_t i = 0; i < 16; ++i) order[i] = static_cast<uint8_t>(i);
  std::stable_sort(order.begin(), order.end(), [&](uint8_t a, uint8_t b) {
    return book.numbers[a] < book.numbers[b];
  });
  for (size_t i = 0; i + 1 < 16; ++i) {
    const float middle =
        (book.numbers[order[i]] + book.numbers[order[i + 1]]) / 2;
    if (!(x > middle)) return order[i];
  }
  return order[15];
}

// Every middle and every number, the floats beside them, and what a product
// with a reciprocal may become.
TEST_P(KernelsTest, NearestOfACodebook) {
  for (const Codebook& book : Codebooks()) {
    std::vector<float> near = {0.0f, -0.0f, 3e38f, -3e38f, 1e-45f, -1e-45f};
    for (float a : book.numbers) {
      for (float b : book.numbers) near.push_back((a + b) / 2);
    }
    std::vector<float> values;
    for (float x : near) {
      for (float y : {x, std::nextafter(x, 1e9f), std::nextafter(x, -1e9f)}) {
        values.push_back(y);
      }
    }
    std::vector<uint8_t> found(values.size());
    const QParams one = {1, 0};
    kernels().round_to_levels(GridOfBook(book.kind), &one, values.size(),
                              values.data(), values.size(), found.data());
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(found[i], CodeIn(book, values[i])) << values[i];
    }
    std::vector<uint8_t> codes(16 + 3);
    for (size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<uint8_t>(i % 16);
    }
    std::vector<float> numbers(codes.size());
    kernels().levels_to_values(book.kind, &one, codes.size(), codes.data(),
                               codes.size(), numbers.data());
    for (size_t i = 0; i < codes.size(); ++i) {
      ASSERT_EQ(element::BitCast<uint32_t>(numbers[i]),
                element::BitCast<uint32_t>(book.numbers[i % 16]));
    }
  }
}

// All scales, 0 and those among them that are smaller than any divisor.
TEST_P(KernelsTest, LevelsOfCodebooks) {
  Random random(19);
  for (const Codebook& book : Codebooks()) {
    for (size_t count : kCounts) {
      const size_t run = 1 + random.Below(count + 40);
      std::vector<QParams> params(count / run + 1);
      for (QParams& p : params) {
        p.scale =
            random.Below(5) == 0 ? 0.0f : std::exp2(random.Uniform(-148, 127));
      }
      std::vector<float> values(count);
      for (size_t i = 0; i < count; ++i) {
        values[i] = params[i / run].scale * random.Uniform(-1, 1);
        if (random.Below(9) == 0) values[i] = -0.0f;
      }
      std::vector<uint8_t> found(count + 1, 0xaa);
      kernels().round_to_levels(GridOfBook(book.kind), params.data(), run,
                                values.data(), count, found.data());
      EXPECT_EQ(found[count], 0xaa);
      std::vector<float> back(count + 1, 42.0f);
      kernels().levels_to_values(book.kind, params.data(), run, found.data(),
                                 count, back.data());
      EXPECT_EQ(back[count], 42.0f);
      for (size_t i = 0; i < count; ++i) {
        const float scale = params[i / run].scale;
        const float inverse = 1.0f / std::fmax(scale, 1e-38f);
        ASSERT_EQ(found[i], CodeIn(book, values[i] * inverse))
            << values[i] << " / " << scale;
        ASSERT_EQ(element::BitCast<uint32_t>(back[i]),
                  element::BitCast<uint32_t>(book.numbers[found[i]] * scale));
      }
    }
  }
}

constexpr LevelGrid kLlmInt8Grid = {LevelKind::kLlmInt8, -127, 127, true,
                                    Convention::kTorch,
                                    /*fused_add=*/false};

// On, and a step of float beside, the middle between two levels; all scales, 0
// and those among them that 127 cannot be divided by; and every byte back.
TEST_P(KernelsTest, LevelsOfLlmInt8) {
  Random random(23);
  for (size_t count : kCounts) {
    const size_t run = 1 + random.Below(count + 40);
    std::vector<QParams> params(count / run + 1);
    for (QParams& p : params) {
      p.scale =
          random.Below(5) == 0 ? 0.0f : std::exp2(random.Uniform(-148, 127));
    }
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      const float scale = params[i / run].scale;
      const float halves = static_cast<float>(random.Below(509)) - 254;
      values[i] = halves / 254 * scale;
      if (random.Below(3) == 0) {
        values[i] = std::nextafter(values[i], random.Uniform(-1, 1));
      }
      if (random.Below(9) == 0) values[i] = -0.0f;
      // Scales that were rounded may be too small.
      if (random.Below(9) == 0) values[i] *= 1.1f;
    }
    std::vector<uint8_t> found(count + 1, 0xaa);
    kernels().round_to_levels(kLlmInt8Grid, params.data(), run, values.data(),
                              count, found.data());
    EXPECT_EQ(found[count], 0xaa);
    for (size_t i = 0; i < count; ++i) {
      const float scale = params[i / run].scale;
      const float reciprocal = 1.0f / scale;
      const float multiplier = reciprocal * 127.0f;
      float level = std::nearbyint(values[i] * multiplier);
      level = std::fmin(std::fmax(level, -127.0f), 127.0f);
      if (!std::isfinite(multiplier)) level = 0;
      ASSERT_EQ(static_cast<int8_t>(found[i]), level)
          << values[i] << " of " << scale;
    }
    for (uint8_t& byte : found) byte = static_cast<uint8_t>(random.Bits());
    std::vector<float> back(count + 1, 42.0f);
    kernels().levels_to_values(LevelKind::kLlmInt8, params.data(), run,
                               found.data(), count, back.data());
    EXPECT_EQ(back[count], 42.0f);
    for (size_t i = 0; i < count; ++i) {
      const float number = static_cast<float>(static_cast<int8_t>(found[i]));
      const float product = number * params[i / run].scale;
      ASSERT_EQ(element::BitCast<uint32_t>(back[i]),
                element::BitCast<uint32_t>(product * (1.0f / 127)))
          << number << " of " << params[i / run].scale;
    }
  }
}

// All kinds of grid and values, in runs that fit vectors and that do not.
TEST_P(KernelsTest, Levels) {
  Random random(5);
  for (size_t count : kCounts) {
    for (const auto& [qmin, qmax] : {std::pair(-128, 127), std::pair(0, 255),
                                     std::pair(-8, 7), std::pair(0, 15)}) {
      for (int mode = 0; mode < 3; ++mode) {
        const LevelKind kind =
            qmin < 0 ? LevelKind::kSigned : LevelKind::kUnsigned;
        const LevelGrid grid = {
            kind,
            qmin,
            qmax,
            false,
            mode == 0 ? Convention::kCompressedTensors : Convention::kTorch,
            mode == 1};
        const size_t run = 1 + random.Below(count + 40);
        std::vector<QParams> params(count / run + 1);
        for (QParams& p : params) {
          p.scale = std::exp2(random.Uniform(-20, 3));
          p.zero_point = qmin + static_cast<int32_t>(random.Below(
                                    static_cast<uint64_t>(qmax - qmin + 1)));
        }
        // On, and a step of float beside, the middle between two levels.
        std::vector<float> values(count);
        for (size_t i = 0; i < count; ++i) {
          const float scale = params[i / run].scale;
          const float halves = static_cast<float>(random.Below(1200)) - 600;
          values[i] = halves * 0.5f * scale;
          if (random.Below(3) == 0) {
            values[i] = std::nextafter(values[i], random.Uniform(-1, 1));
          }
          if (random.Below(50) == 0) values[i] = random.Finite();
        }
        std::vector<uint8_t> found(count + 1, 0xaa);
        std::vector<uint8_t> expected = found;
        kernels().round_to_levels(grid, params.data(), run, values.data(),
                                  count, found.data());
        kScalarKernels.round_to_levels(grid, params.data(), run, values.data(),
                                       count, expected.data());
        ASSERT_EQ(found, expected) << count << " " << run << " " << mode;

        std::vector<float> back(count + 1, 42.0f);
        std::vector<float> expected_back = back;
        kernels().levels_to_values(kind, params.data(), run, found.data(),
                                   count, back.data());
        kScalarKernels.levels_to_values(kind, params.data(), run, found.data(),
                                        count, expected_back.data());
        ASSERT_EQ(Bytes(back), Bytes(expected_back)) << count << " " << run;
      }
    }
  }
}

TEST_P(KernelsTest, Nibbles) {
  Random random(9);
  for (size_t odd : kCounts) {
    const size_t count = odd / 2 * 2;
    std::vector<uint8_t> levels(count);
    for (uint8_t& level : levels) level = static_cast<uint8_t>(random.Bits());
    std::vector<uint8_t> found(count / 2 + 1, 0xaa);
    std::vector<uint8_t> expected = found;
    kernels().pack_nibbles(levels.data(), count, found.data());
    kScalarKernels.pack_nibbles(levels.data(), count, expected.data());
    ASSERT_EQ(found, expected);
    for (bool is_signed : {false, true}) {
      std::vector<uint8_t> back(count + 1, 0xaa);
      std::vector<uint8_t> expected_back = back;
      kernels().unpack_nibbles(found.data(), count, is_signed, back.data());
      kScalarKernels.unpack_nibbles(found.data(), count, is_signed,
                                    expected_back.data());
      ASSERT_EQ(back, expected_back);
    }
  }
}

void ExpectEqualBits(const ErrorSums& a, const ErrorSums& b) {
  for (size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_EQ(a.aa[lane], b.aa[lane]);
    EXPECT_EQ(a.ab[lane], b.ab[lane]);
    EXPECT_EQ(a.bb[lane], b.bb[lane]);
    EXPECT_EQ(a.ee[lane], b.ee[lane]);
    EXPECT_EQ(a.max_abs_error[lane], b.max_abs_error[lane]);
  }
}

TEST_P(KernelsTest, Errors) {
  for (testing::Values kind : testing::kAllValues) {
    for (size_t count : kCounts) {
      const std::vector<float> a = testing::Make(kind, count, 1);
      std::vector<float> b = a;
      for (size_t i = 0; i < count; ++i) {
        b[i] += 1e-3f * static_cast<float>(i % 7) * a[i / 2];
      }
      ErrorSums found;
      ErrorSums expected;
      for (int repeat = 0; repeat < 2; ++repeat) {
        ASSERT_EQ(
            kernels().add_errors(a.data(), b.data(), count, &found),
            kScalarKernels.add_errors(a.data(), b.data(), count, &expected));
      }
      ExpectEqualBits(found, expected);
    }
  }
}

// In one go what round_to_levels, levels_to_values and add_errors do.
TEST_P(KernelsTest, RoundAndAddErrors) {
  Random random(21);
  std::vector<LevelGrid> grids;
  for (const FloatFormat& format : kFloatFormats)
    grids.push_back(format.Grid());
  for (const Codebook& book : Codebooks()) {
    grids.push_back(GridOfBook(book.kind));
  }
  grids.push_back(kLlmInt8Grid);
  for (Convention convention :
       {Convention::kTorch, Convention::kCompressedTensors}) {
    for (bool fused_add : {false, true}) {
      grids.push_back(
          {LevelKind::kSigned, -128, 127, false, convention, fused_add});
      grids.push_back(
          {LevelKind::kUnsigned, 0, 15, false, convention, fused_add});
    }
  }
  for (size_t count : kCounts) {
    for (const LevelGrid& grid : grids) {
      for (size_t run : {size_t{16}, size_t{48}, size_t{128}, count + 32}) {
        const size_t in_run =
            run == count + 32 ? 5 : random.Below(run / 16) * 16;
        SCOPED_TRACE(::testing::Message() << count << " elements, runs of "
                                          << run << " from " << in_run);
        std::vector<QParams> params((in_run + count) / run + 1);
        for (QParams& p : params) {
          p.scale = random.Uniform(0.01f, 0.02f);
          const bool has_zero = (grid.kind == LevelKind::kSigned ||
                                 grid.kind == LevelKind::kUnsigned) &&
                                random.Below(3) != 0;
          p.zero_point = has_zero ? static_cast<int32_t>(random.Below(9)) : 0;
        }
        const std::vector<float> a =
            testing::Make(testing::Values::kRandom, count, 3);
        std::vector<uint8_t> levels(count);
        std::vector<float> b(count);
        for (size_t i = 0; i < count; ++i) {
          const QParams* p = &params[(in_run + i) / run];
          kScalarKernels.round_to_levels(grid, p, 1, &a[i], 1, &levels[i]);
          kScalarKernels.levels_to_values(grid.kind, p, 1, &levels[i], 1,
                                          &b[i]);
        }
        ErrorSums expected;
        const bool expected_result =
            kScalarKernels.add_errors(a.data(), b.data(), count, &expected);
        for (size_t lane = 0; lane < kLanes; ++lane) {
          const float sum = static_cast<float>(expected.aa[lane]) +
                            static_cast<float>(expected.bb[lane]);
          expected.ab[lane] = static_cast<double>(
              (sum - static_cast<float>(expected.ee[lane])) / 2);
        }
        ErrorSums found;
        std::vector<uint8_t> found_levels(count + 1, 0xaa);
        EXPECT_EQ(kernels().round_and_add_errors(grid, params.data(), run,
                                                 in_run, a.data(), count,
                                                 found_levels.data(), &found),
                  expected_result);
        ExpectEqualBits(found, expected);
        EXPECT_EQ(found_levels[count], 0xaa);
        found_levels.pop_back();
        ASSERT_EQ(found_levels, levels);
      }
    }
  }
}

// Where float does not do, nothing is added.
TEST_P(KernelsTest, ErrorsBeyondFloat) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const auto& [a, b] :
       {std::pair(1.0f, kInf), std::pair(kInf, 1.0f), std::pair(1e30f, 1.0f),
        std::pair(1.0f, 1e30f), std::pair(1e-30f, 1e-31f),
        std::pair(std::nanf(""), 1.0f), std::pair(1.0f, std::nanf("")),
        std::pair(0.0f, 0.0f)}) {
    for (size_t at : {0, 16, 33}) {
      std::vector<float> as(34, a == 1.0f || std::isnan(a) ? 1.0f : a);
      std::vector<float> bs = as;
      as[at] = a;
      bs[at] = b;
      ErrorSums sums;
      EXPECT_FALSE(kernels().add_errors(as.data(), bs.data(), 34, &sums))
          << a << " " << b;
      ExpectEqualBits(sums, ErrorSums());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, KernelsTest, ::testing::ValuesIn(AvailableKernels()),
    [](const ::testing::TestParamInfo<const Kernels*>& table) {
      return std::string(table.param->name);
    });

TEST(SelectKernelsTest, ByName) {
  EXPECT_EQ(AvailableKernels().back(), &kScalarKernels);
  EXPECT_FALSE(UseKernels("mmx"));
  EXPECT_EQ(&ActiveKernels(), AvailableKernels().front());
  for (const Kernels* kernels : AvailableKernels()) {
    EXPECT_TRUE(UseKernels(kernels->name));
    EXPECT_EQ(&ActiveKernels(), kernels);
  }
}

}  // namespace
}  // namespace monoquant
