// How far a long run is, on stderr.
//
// Runs of less than a second print nothing. Where there is a terminal a bar is
// redrawn in place and disappears at the end; elsewhere one line is printed for
// each tenth. Time is passed in, so this knows no clock.

#ifndef MONOQUANT_CLI_PROGRESS_H_
#define MONOQUANT_CLI_PROGRESS_H_

#include <cstdint>
#include <ostream>
#include <string>

namespace monoquant::cli {

enum class ProgressStyle : uint8_t { kNone, kPlain, kBar };

// Not thread-safe.
class Progress {
 public:
  // `label` says what is done ("quantizing"). `err` must outlive this object.
  Progress(ProgressStyle style, std::string label, std::ostream* err);

  // Removes the bar, so that whatever is printed next starts on a clean line.
  ~Progress();

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // How many bytes are done at the start: they do not count for the rate.
  void Begin(uint64_t done) { begun_at_ = done; }

  // `done` of `total` bytes, `seconds` after the start.
  void Update(uint64_t done, uint64_t total, double seconds);

 private:
  std::string Describe(uint64_t done, uint64_t total, double seconds) const;

  const ProgressStyle style_;
  const std::string label_;
  std::ostream* const err_;
  uint64_t begun_at_ = 0;
  bool bar_drawn_ = false;
  int last_tenth_ = 0;
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_PROGRESS_H_
