// Every table gives the bits of the reference, and the reference those of its
// definitions.

#include "core/kernels/kernels.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
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

// The number of an E4M3 code, from the format's definition.
double NumberOfE4M3(uint32_t code) {
  const int exponent = static_cast<int>(code >> 3 & 15);
  const double mantissa = code & 7;
  if ((code & 0x7f) == 0x7f) return std::nan("");
  const double magnitude = exponent == 0
                               ? std::ldexp(mantissa / 8, -6)
                               : std::ldexp(1 + mantissa / 8, exponent - 7);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

// The nearest code, by looking at all of them.
uint8_t NearestE4M3(float value) {
  const double magnitude = std::fabs(static_cast<double>(value));
  uint32_t best = 0;
  for (uint32_t code = 1; code < 0x7f; ++code) {
    const double distance = std::fabs(NumberOfE4M3(code) - magnitude);
    const double least = std::fabs(NumberOfE4M3(best) - magnitude);
    if (distance < least || (distance == least && code % 2 == 0)) best = code;
  }
  return static_cast<uint8_t>(best | (std::signbit(value) ? 0x80u : 0u));
}

// Which rounding is right does not depend on the table: looked up once.
const std::vector<std::pair<float, uint8_t>>& KnownE4M3() {
  static const auto* const known = [] {
    auto* pairs = new std::vector<std::pair<float, uint8_t>>;
    const auto add = [&](float value) {
      if (!std::isfinite(value)) return;
      pairs->emplace_back(value, NearestE4M3(value));
    };
    // Every bfloat16 and every half, subnormal ones among them.
    for (uint32_t i = 0; i < 65536; ++i) {
      add(element::FromBFloat16(i));
      add(element::FromHalf(i));
    }
    // Every code, the middle between it and the next, and the floats beside
    // those.
    for (uint32_t code = 0; code < 0x7f; ++code) {
      const float number = static_cast<float>(NumberOfE4M3(code));
      const float next =
          code == 0x7e ? 480 : static_cast<float>(NumberOfE4M3(code + 1));
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
  }();
  return *known;
}

LevelGrid E4M3Grid() {
  return {LevelKind::kE4M3,   -448, 448, true, Convention::kCompressedTensors,
          /*fused_add=*/false};
}

TEST_P(KernelsTest, ToE4M3IsTheNearestCode) {
  std::vector<float> values;
  for (const auto& [value, code] : KnownE4M3()) values.push_back(value);
  std::vector<uint8_t> codes(values.size());
  const QParams one = {1, 0};
  kernels().round_to_levels(E4M3Grid(), &one, values.size(), values.data(),
                            values.size(), codes.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(codes[i], KnownE4M3()[i].second) << values[i];
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

TEST_P(KernelsTest, E4M3WithoutSubnormalFloats) {
  const auto& known = KnownE4M3();
  std::vector<float> values;
  for (const auto& [value, code] : known) values.push_back(value);
  std::vector<uint8_t> codes(values.size());
  std::vector<float> decoded[2];
  const QParams one = {1, 0};
  for (bool flush : {false, true}) {
    decoded[flush].resize(codes.size());
    std::optional<FlushSubnormals> flushing;
    if (flush) flushing.emplace();
    kernels().round_to_levels(E4M3Grid(), &one, values.size(), values.data(),
                              values.size(), codes.data());
    kernels().levels_to_values(LevelKind::kE4M3, &one, codes.size(),
                               codes.data(), codes.size(),
                               decoded[flush].data());
    flushing.reset();
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(codes[i], known[i].second) << values[i] << " " << flush;
    }
  }
  EXPECT_EQ(Bytes(decoded[0]), Bytes(decoded[1]));
}

#endif  // __SSE2__

TEST_P(KernelsTest, EveryE4M3Code) {
  std::vector<uint8_t> codes(256 + 3);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i);
  std::vector<float> values(codes.size());
  const QParams one = {1, 0};
  kernels().levels_to_values(LevelKind::kE4M3, &one, codes.size(), codes.data(),
                             codes.size(), values.data());
  for (size_t i = 0; i < codes.size(); ++i) {
    const double expected = NumberOfE4M3(codes[i]);
    if (std::isnan(expected)) {
      ASSERT_EQ(element::BitCast<uint32_t>(values[i]),
                element::kQuietNan | (i & 0x80u) << 24);
      continue;
    }
    ASSERT_EQ(element::BitCast<uint32_t>(values[i]),
              element::BitCast<uint32_t>(static_cast<float>(expected)))
        << i;
  }
}

// Quotients, and the sign of those that are too small for a code.
TEST_P(KernelsTest, E4M3Levels) {
  Random random(17);
  for (size_t count : kCounts) {
    const size_t run = 1 + random.Below(count + 40);
    std::vector<QParams> params(count / run + 1);
    for (QParams& p : params) p.scale = std::exp2(random.Uniform(-140, 20));
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) {
      values[i] = params[i / run].scale * random.Uniform(-500, 500);
      if (random.Below(4) == 0) values[i] *= 0x1p-12f;
      if (random.Below(9) == 0) values[i] = random.Finite();
      if (random.Below(9) == 0) values[i] = -0.0f;
    }
    std::vector<uint8_t> found(count + 1, 0xaa);
    kernels().round_to_levels(E4M3Grid(), params.data(), run, values.data(),
                              count, found.data());
    EXPECT_EQ(found[count], 0xaa);
    for (size_t i = 0; i < count; ++i) {
      const float quotient = values[i] / params[i / run].scale;
      const float clamped = std::fmin(std::fmax(quotient, -448), 448);
      ASSERT_EQ(found[i], NearestE4M3(std::copysign(clamped, values[i])))
          << values[i] << " / " << params[i / run].scale;
    }
    std::vector<float> back(count + 1, 42.0f);
    std::vector<float> expected_back = back;
    kernels().levels_to_values(LevelKind::kE4M3, params.data(), run,
                               found.data(), count, back.data());
    kScalarKernels.levels_to_values(LevelKind::kE4M3, params.data(), run,
                                    found.data(), count, expected_back.data());
    ASSERT_EQ(Bytes(back), Bytes(expected_back)) << count << " " << run;
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
  std::vector<LevelGrid> grids = {E4M3Grid()};
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
          const bool has_zero =
              grid.kind != LevelKind::kE4M3 && random.Below(3) != 0;
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
