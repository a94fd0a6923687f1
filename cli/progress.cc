#include "cli/progress.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/human.h"

namespace monoquant::cli {
namespace {

constexpr double kQuietSeconds = 1;
constexpr int kBarWidth = 24;
// Back to the start of the line, and clear it.
constexpr char kEraseLine[] = "\r\x1b[K";

double Fraction(uint64_t done, uint64_t total) {
  if (total == 0) return 1;
  return std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
}

std::string Bar(double fraction) {
  const int filled = static_cast<int>(fraction * kBarWidth);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kBarWidth) bar += '>';
  bar.resize(kBarWidth, ' ');
  return bar;
}

}  // namespace

Progress::Progress(ProgressStyle style, std::string label, std::ostream* err)
    : style_(style), label_(std::move(label)), err_(err) {}

Progress::~Progress() {
  if (bar_drawn_) *err_ << kEraseLine << std::flush;
}

std::string Progress::Describe(uint64_t done, uint64_t total,
                               double seconds) const {
  const double rate = static_cast<double>(done - begun_at_) / seconds;
  std::string text =
      absl::StrCat(static_cast<int>(Fraction(done, total) * 100), "%  ",
                   HumanBytes(done), " of ", HumanBytes(total), "  ",
                   HumanBytes(static_cast<uint64_t>(rate)), "/s");
  if (done > begun_at_ && done < total) {
    const double left = static_cast<double>(total - done) / rate;
    absl::StrAppend(&text, "  ", HumanSeconds(left), " left");
  }
  return text;
}

void Progress::Update(uint64_t done, uint64_t total, double seconds) {
  if (style_ == ProgressStyle::kNone || seconds < kQuietSeconds) return;
  const double fraction = Fraction(done, total);
  if (style_ == ProgressStyle::kBar) {
    *err_ << kEraseLine << label_ << " [" << Bar(fraction) << "] "
          << Describe(done, total, seconds) << std::flush;
    bar_drawn_ = true;
    return;
  }
  const int tenth = static_cast<int>(fraction * 10);
  if (tenth <= last_tenth_) return;
  last_tenth_ = tenth;
  *err_ << label_ << ": " << Describe(done, total, seconds) << std::endl;
}

}  // namespace monoquant::cli
