#include "ir/byte_sink.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using ::monoquant::testing::ExpectError;

constexpr uint8_t kAb[] = {'a', 'b'};

TEST(MemorySinkTest, AnyOrderAndZerosBetween) {
  std::string out = "before";
  MemorySink sink("m", 6, &out);
  ASSERT_TRUE(sink.WriteAt(4, kAb).ok());
  ASSERT_TRUE(sink.WriteAt(0, kAb).ok());
  ASSERT_TRUE(sink.WriteAt(6, {}).ok());
  EXPECT_EQ(out, "before");
  ASSERT_TRUE(sink.Commit().ok());
  EXPECT_EQ(out, std::string("ab\0\0ab", 6));
}

TEST(MemorySinkTest, NothingWithoutCommit) {
  std::string out = "before";
  {
    MemorySink sink("m", 2, &out);
    ASSERT_TRUE(sink.WriteAt(0, kAb).ok());
  }
  EXPECT_EQ(out, "before");
}

TEST(MemorySinkTest, RefusesMoreThanPlanned) {
  std::string out;
  MemorySink sink("m", 3, &out);
  for (uint64_t offset :
       {uint64_t{2}, uint64_t{4}, std::numeric_limits<uint64_t>::max()}) {
    ExpectError(sink.WriteAt(offset, kAb), absl::StatusCode::kOutOfRange,
                "planned size of 3 bytes");
  }
}

}  // namespace
}  // namespace monoquant
