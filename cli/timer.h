// The clock of progress and summaries. Nothing that is written depends on it.

#ifndef MONOQUANT_CLI_TIMER_H_
#define MONOQUANT_CLI_TIMER_H_

#include <chrono>

namespace monoquant::cli {

// Measures from its construction.
class Timer {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_TIMER_H_
