// Guards what a run prints while it works: nothing in the first second, a line
// for each tenth without a terminal, a bar that leaves no trace with one.

#include "cli/progress.h"

#include <cstdint>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

constexpr uint64_t kTotal = 100u << 20;

TEST(ProgressTest, ShortRunsAreSilent) {
  for (const auto style :
       {ProgressStyle::kNone, ProgressStyle::kPlain, ProgressStyle::kBar}) {
    std::ostringstream err;
    {
      Progress progress(style, "quantizing", &err);
      progress.Update(kTotal / 2, kTotal, 0.5);
      progress.Update(kTotal, kTotal, 0.99);
    }
    EXPECT_EQ(err.str(), "");
  }
}

TEST(ProgressTest, NoneIsSilentForever) {
  std::ostringstream err;
  Progress progress(ProgressStyle::kNone, "quantizing", &err);
  progress.Update(kTotal / 2, kTotal, 100);
  EXPECT_EQ(err.str(), "");
}

TEST(ProgressTest, PlainPrintsALineForEachTenth) {
  std::ostringstream err;
  Progress progress(ProgressStyle::kPlain, "quantizing", &err);
  for (int percent = 0; percent <= 100; ++percent) {
    // The first second passes at 10 %.
    progress.Update(kTotal / 100 * percent, kTotal, percent / 10.0);
  }
  EXPECT_EQ(err.str(),
            "quantizing: 10%  10.0 MiB of 100.0 MiB  10.0 MiB/s  9.0 s left\n"
            "quantizing: 20%  20.0 MiB of 100.0 MiB  10.0 MiB/s  8.0 s left\n"
            "quantizing: 30%  30.0 MiB of 100.0 MiB  10.0 MiB/s  7.0 s left\n"
            "quantizing: 40%  40.0 MiB of 100.0 MiB  10.0 MiB/s  6.0 s left\n"
            "quantizing: 50%  50.0 MiB of 100.0 MiB  10.0 MiB/s  5.0 s left\n"
            "quantizing: 60%  60.0 MiB of 100.0 MiB  10.0 MiB/s  4.0 s left\n"
            "quantizing: 70%  70.0 MiB of 100.0 MiB  10.0 MiB/s  3.0 s left\n"
            "quantizing: 80%  80.0 MiB of 100.0 MiB  10.0 MiB/s  2.0 s left\n"
            "quantizing: 90%  90.0 MiB of 100.0 MiB  10.0 MiB/s  1.0 s left\n"
            "quantizing: 100%  100.0 MiB of 100.0 MiB  10.0 MiB/s\n");
}

TEST(ProgressTest, ABarIsErasedAtTheEnd) {
  std::ostringstream err;
  {
    Progress progress(ProgressStyle::kBar, "hashing", &err);
    progress.Update(kTotal / 2, kTotal, 2);
  }
  EXPECT_EQ(err.str(),
            "\r\x1b[Khashing [============>           ] 50%  50.0 MiB of "
            "100.0 MiB  25.0 MiB/s  2.0 s left\r\x1b[K");
}

TEST(ProgressTest, SurvivesNothingToDo) {
  std::ostringstream err;
  Progress progress(ProgressStyle::kPlain, "quantizing", &err);
  progress.Update(0, 0, 2);
  EXPECT_EQ(err.str(), "quantizing: 100%  0 bytes of 0 bytes  0 bytes/s\n");
}

}  // namespace
}  // namespace monoquant::cli
