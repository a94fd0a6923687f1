// Guards: the bytes of zero points, and what is read of them.

#include "core/zero_points.h"

#include <cstring>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/dtype.h"

namespace monoquant {
namespace {

using ::testing::ElementsAre;

std::vector<uint8_t> Stored(DType dtype, int32_t zero_point) {
  std::vector<uint8_t> bytes(ZeroPointBytes(dtype));
  StoreZeroPoint(dtype, zero_point, bytes.data());
  return bytes;
}

TEST(ZeroPointsTest, Bytes) {
  EXPECT_THAT(Stored(DType::kI8, -3), ElementsAre(0xfd));
  EXPECT_THAT(Stored(DType::kU8, 128), ElementsAre(0x80));
  EXPECT_THAT(Stored(DType::kI64, 5), ElementsAre(5, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(Stored(DType::kI64, -2),
              ElementsAre(0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
  EXPECT_THAT(Stored(DType::kF32, 128), ElementsAre(0, 0, 0, 0x43));
}

TEST(ZeroPointsTest, WideOnesAreReadBack) {
  for (const DType dtype : {DType::kI64, DType::kF32}) {
    for (const int32_t zero_point : {0, 1, 128, 255, -128}) {
      EXPECT_EQ(LoadWideZeroPoint(dtype, Stored(dtype, zero_point).data()),
                zero_point);
    }
  }
}

TEST(ZeroPointsTest, AnyNumberIsRead) {
  const float quarter = 127.25f;
  uint8_t bytes[sizeof(quarter)];
  std::memcpy(bytes, &quarter, sizeof(quarter));
  EXPECT_EQ(LoadWideZeroPoint(DType::kF32, bytes), 127.25);
  const std::vector<uint8_t> largest = {0xff, 0xff, 0xff, 0xff,
                                        0xff, 0xff, 0xff, 0x7f};
  EXPECT_EQ(LoadWideZeroPoint(DType::kI64, largest.data()), 0x1p63);
}

}  // namespace
}  // namespace monoquant
