// Guards the thread loop: every item once, the first error wins, cancelling
// stops early, and the caller's tick always sees the end.

#include "cli/parallel.h"

#include <atomic>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

namespace monoquant::cli {
namespace {

class ParallelTest : public ::testing::TestWithParam<int> {
 protected:
  std::atomic<bool> cancel_{false};
};

TEST_P(ParallelTest, EveryItemOnce) {
  std::vector<std::atomic<int>> visits(1000);
  int ticks = 0;
  const absl::Status status = ParallelFor(
      visits.size(), GetParam(), cancel_,
      [&](size_t item, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, GetParam());
        ++visits[item];
        return absl::OkStatus();
      },
      [&] { ++ticks; });
  EXPECT_TRUE(status.ok()) << status;
  for (const auto& count : visits) EXPECT_EQ(count, 1);
  EXPECT_GE(ticks, 1);
}

TEST_P(ParallelTest, AnErrorStopsTheRest) {
  std::atomic<int> done{0};
  const absl::Status status = ParallelFor(
      1000000, GetParam(), cancel_,
      [&](size_t item, int) {
        ++done;
        return item == 10 ? absl::DataLossError("item 10") : absl::OkStatus();
      },
      [] {});
  EXPECT_EQ(status, absl::DataLossError("item 10"));
  EXPECT_LT(done, 1000000);
}

TEST_P(ParallelTest, CancellingStopsTheRest) {
  std::atomic<int> done{0};
  const absl::Status status = ParallelFor(
      1000000, GetParam(), cancel_,
      [&](size_t item, int) {
        if (item == 10) cancel_ = true;
        ++done;
        return absl::OkStatus();
      },
      [] {});
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_LT(done, 1000000);
}

TEST_P(ParallelTest, NothingToDo) {
  const absl::Status status = ParallelFor(
      0, GetParam(), cancel_, [](size_t, int) { return absl::OkStatus(); },
      [] {});
  EXPECT_TRUE(status.ok()) << status;
}

INSTANTIATE_TEST_SUITE_P(Threads, ParallelTest, ::testing::Values(1, 2, 7));

TEST(ResolveThreadsTest, ZeroMeansAllCores) {
  EXPECT_GE(ResolveThreads(0), 1);
  EXPECT_EQ(ResolveThreads(3), 3);
}

}  // namespace
}  // namespace monoquant::cli
