#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/casts.h"
#include "core/codecs/codec.h"
#include "core/codecs/fp4.h"
#include "core/codecs/fp4_e2m1.h"
#include "core/codecs/fp8.h"
#include "core/codecs/int4.h"
#include "core/codecs/int8.h"
#include "core/codecs/llm_int8.h"
#include "core/codecs/nf4.h"
#include "core/registry.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;

// Levels as numbers: of an integer format the numbers that they are.
std::vector<uint8_t> Pack(const Codec& codec, const std::vector<int>& levels) {
  std::vector<uint8_t> as_bytes;
  for (int level : levels) as_bytes.push_back(static_cast<uint8_t>(level));
  std::vector<uint8_t> bytes(
      (levels.size() * static_cast<size_t>(codec.bits) + 7) / 8, 0xee);
  codec.pack(as_bytes, bytes.data());
  return bytes;
}

std::vector<int> Unpack(const Codec& codec, const std::vector<uint8_t>& bytes,
                        size_t count) {
  std::vector<uint8_t> as_bytes(count);
  codec.unpack(bytes.data(), absl::MakeSpan(as_bytes));
  std::vector<int> levels;
  for (uint8_t byte : as_bytes) {
    levels.push_back(codec.kind == LevelKind::kSigned
                         ? static_cast<int8_t>(byte)
                         : int{byte});
  }
  return levels;
}

std::vector<uint8_t> Encode(const Codec& codec,
                            const std::vector<float>& values) {
  std::vector<uint8_t> bytes(
      values.size() * static_cast<size_t>(codec.bits) / 8, 0xee);
  codec.encode(values, bytes.data());
  return bytes;
}

std::vector<float> Decode(const Codec& codec, const std::vector<uint8_t>& bytes,
                          size_t count) {
  std::vector<float> values(count);
  codec.decode(bytes.data(), absl::MakeSpan(values));
  return values;
}

// The layouts that other programs rely on.
TEST(CodecsTest, Bytes) {
  EXPECT_THAT(Pack(kInt8Codec, {-128, -1, 0, 127}),
              ElementsAre(0x80, 0xff, 0x00, 0x7f));
  EXPECT_THAT(Pack(kUInt8Codec, {0, 1, 128, 255}),
              ElementsAre(0x00, 0x01, 0x80, 0xff));
  EXPECT_THAT(Pack(kInt4Codec, {1, -8, 7, -1}), ElementsAre(0x81, 0xf7));
  EXPECT_THAT(Pack(kUInt4Codec, {1, 8, 7, 15}), ElementsAre(0x81, 0xf7));
  EXPECT_THAT(Pack(kFp8E4M3Codec, {0x00, 0x01, 0x38, 0xfe}),
              ElementsAre(0x00, 0x01, 0x38, 0xfe));
  EXPECT_THAT(Pack(kFp8E5M2Codec, {0x00, 0x01, 0x3c, 0xfb}),
              ElementsAre(0x00, 0x01, 0x3c, 0xfb));
  EXPECT_THAT(Pack(kLlmInt8Codec, {-127, -1, 0, 127}),
              ElementsAre(0x81, 0xff, 0x00, 0x7f));
  for (const Codec* codec : {&kNf4Codec, &kFp4Codec, &kFp4E2M1Codec}) {
    EXPECT_THAT(Pack(*codec, {1, 8, 7, 15, 4}), ElementsAre(0x81, 0xf7, 0x04));
  }
  EXPECT_THAT(Encode(DefaultRegistry().GetCodec(NumberFormat::kFp16), {1, -2}),
              ElementsAre(0x00, 0x3c, 0x00, 0xc0));
  EXPECT_THAT(Encode(DefaultRegistry().GetCodec(NumberFormat::kBf16), {1, -2}),
              ElementsAre(0x80, 0x3f, 0x00, 0xc0));
}

TEST(CodecsTest, UnusedNibbleIsZero) {
  EXPECT_THAT(Pack(kInt4Codec, {-1, -1, -1}), ElementsAre(0xff, 0x0f));
  EXPECT_THAT(Pack(kUInt4Codec, {15}), ElementsAre(0x0f));
  EXPECT_THAT(Unpack(kInt4Codec, {0xff, 0x0f}, 3), ElementsAre(-1, -1, -1));
}

TEST(CodecsTest, EveryLevelRoundTrips) {
  for (const Codec* codec : DefaultRegistry().codecs) {
    if (!HasScales(codec->format)) continue;
    // Where levels are no whole numbers, every code is one.
    const bool whole = HasZeroPoints(codec->format);
    const int first = whole ? codec->qmin : 0;
    const int last = whole ? codec->qmax : (1 << codec->bits) - 1;
    // Every level at even and odd positions, and runs of odd length.
    std::vector<int> levels;
    for (int level = first; level <= last; ++level) {
      levels.push_back(level);
      for (int other = first; codec->bits == 4 && other <= last; ++other) {
        levels.push_back(other);
      }
      EXPECT_EQ(Unpack(*codec, Pack(*codec, levels), levels.size()), levels)
          << NumberFormatName(codec->format);
    }
  }
}

TEST(CodecsTest, EveryByteRoundTrips) {
  for (const Codec* codec : DefaultRegistry().codecs) {
    if (!HasScales(codec->format)) continue;
    for (int byte = 0; byte < 256; ++byte) {
      const std::vector<uint8_t> bytes = {static_cast<uint8_t>(byte)};
      const std::vector<int> levels =
          Unpack(*codec, bytes, 8 / static_cast<size_t>(codec->bits));
      for (int level : levels) {
        if (!HasZeroPoints(codec->format)) continue;
        EXPECT_GE(level, codec->qmin);
        EXPECT_LE(level, codec->qmax);
      }
      EXPECT_EQ(Pack(*codec, levels), bytes);
    }
  }
}

// Float formats are the casts, for all 65,536 values.
TEST(CodecsTest, FloatFormatsAreCasts) {
  const Codec& fp16 = DefaultRegistry().GetCodec(NumberFormat::kFp16);
  const Codec& bf16 = DefaultRegistry().GetCodec(NumberFormat::kBf16);
  for (uint32_t i = 0; i < 65536; ++i) {
    const uint16_t bits = static_cast<uint16_t>(i);
    const std::vector<uint8_t> bytes = {static_cast<uint8_t>(i),
                                        static_cast<uint8_t>(i >> 8)};
    const float half = Decode(fp16, bytes, 1)[0];
    const float brain = Decode(bf16, bytes, 1)[0];
    if (!std::isnan(half)) {
      EXPECT_EQ(half, HalfToFloat(bits));
      EXPECT_EQ(Encode(fp16, {half}), bytes);
    }
    if (!std::isnan(brain)) {
      EXPECT_EQ(brain, BFloat16ToFloat(bits));
      EXPECT_EQ(Encode(bf16, {brain}), bytes);
    }
  }
}

}  // namespace
}  // namespace monoquant
