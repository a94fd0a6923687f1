// Every table gives the bits of the reference, and the reference those of its
// definitions.

#include "core/kernels/kernels.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/kernels/element.h"
#include "core/level_grid.h"
#include "core/testing/synthetic.h"
#include "gtest/gtest.h"

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

TEST_P(KernelsTest, EveryHalfAndBFloat16) {
  std::vector<uint16_t> all(65536 + 5);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  const std::vector<uint8_t> bytes = Bytes(all);
  std::vector<float> half(all.size());
  std::vector<float> brain(all.size());
  kernels().half_to_float(bytes.data(), all.size(), half.data());
  kernels().bfloat16_to_float(bytes.data(), all.size(), brain.data());
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(element::BitCast<uint32_t>(half[i]),
              element::BitCast<uint32_t>(element::FromHalf(all[i])))
        << i;
    ASSERT_EQ(element::BitCast<uint32_t>(brain[i]),
              element::BitCast<uint32_t>(element::FromBFloat16(all[i])))
        << i;
  }
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

// In one go what levels_to_values and add_errors do.
TEST_P(KernelsTest, LevelErrors) {
  Random random(21);
  for (size_t count : kCounts) {
    for (LevelKind kind : {LevelKind::kUnsigned, LevelKind::kSigned}) {
      for (size_t run : {size_t{16}, size_t{48}, size_t{128}, count + 32}) {
        const size_t in_run =
            run == count + 32 ? 5 : random.Below(run / 16) * 16;
        SCOPED_TRACE(::testing::Message() << count << " elements, runs of "
                                          << run << " from " << in_run);
        std::vector<QParams> params((in_run + count) / run + 1);
        for (QParams& p : params) {
          p.scale = random.Uniform(0.01f, 0.02f);
          p.zero_point = static_cast<int32_t>(random.Below(9));
        }
        const std::vector<float> a =
            testing::Make(testing::Values::kRandom, count, 3);
        std::vector<uint8_t> levels(count);
        std::vector<float> b(count);
        for (size_t i = 0; i < count; ++i) {
          levels[i] = static_cast<uint8_t>(random.Bits());
          kScalarKernels.levels_to_values(kind, &params[(in_run + i) / run], 1,
                                          &levels[i], 1, &b[i]);
        }
        ErrorSums found;
        ErrorSums expected;
        EXPECT_EQ(
            kernels().add_level_errors(a.data(), kind, params.data(), run,
                                       in_run, levels.data(), count, &found),
            kScalarKernels.add_errors(a.data(), b.data(), count, &expected));
        ExpectEqualBits(found, expected);
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
