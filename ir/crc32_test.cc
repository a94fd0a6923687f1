#include "ir/crc32.h"

#include <cstdint>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace monoquant {
namespace {

absl::Span<const uint8_t> AsBytes(const std::string& text) {
  return absl::MakeSpan(reinterpret_cast<const uint8_t*>(text.data()),
                        text.size());
}

// The definition, a bit at a time.
uint32_t SlowCrc32(absl::Span<const uint8_t> bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
    }
  }
  return ~crc;
}

TEST(Crc32Test, KnownValues) {
  EXPECT_EQ(Crc32({}), kEmptyCrc32);
  EXPECT_EQ(Crc32(AsBytes("123456789")), 0xCBF43926u);
}

TEST(Crc32Test, AnyCutGivesTheSame) {
  std::vector<uint8_t> bytes(300);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * i + 7);
  }
  const absl::Span<const uint8_t> all = bytes;
  const uint32_t expected = SlowCrc32(all);
  EXPECT_EQ(Crc32(all), expected);
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    const auto a = all.subspan(0, cut);
    const auto b = all.subspan(cut);
    ASSERT_EQ(ExtendCrc32(Crc32(a), b), expected);
    ASSERT_EQ(CombineCrc32(Crc32(a), Crc32(b), b.size()), expected);
  }
}

// Sizes beyond 32 bits: combining in two steps and in one agrees. 5 GiB of
// zeros as five times 1 GiB.
TEST(Crc32Test, CombinesLargeSizes) {
  const std::vector<uint8_t> zeros(1 << 20);
  uint32_t gibibyte = Crc32(zeros);
  uint64_t size = zeros.size();
  while (size < (uint64_t{1} << 30)) {
    gibibyte = CombineCrc32(gibibyte, gibibyte, size);
    size *= 2;
  }
  uint32_t five = kEmptyCrc32;
  for (int i = 0; i < 5; ++i) five = CombineCrc32(five, gibibyte, size);
  const uint32_t start = Crc32(AsBytes("123456789"));
  uint32_t in_steps = start;
  for (int i = 0; i < 5; ++i) in_steps = CombineCrc32(in_steps, gibibyte, size);
  EXPECT_EQ(CombineCrc32(start, five, 5 * size), in_steps);
}

}  // namespace
}  // namespace monoquant
