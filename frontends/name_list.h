// "'a', 'b', 'c' and 17 more": many names in one line of a report.

#ifndef MONOQUANT_FRONTENDS_NAME_LIST_H_
#define MONOQUANT_FRONTENDS_NAME_LIST_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "ir/quoted.h"

namespace monoquant {

// Keeps the first few names and counts the rest.
class NameList {
 public:
  // `detail` follows the name in brackets, if there is one.
  void Add(absl::string_view name, absl::string_view detail = {}) {
    if (++count_ > kShown) return;
    shown_.push_back(
        {std::string(name.substr(0, kMaxName)), std::string(detail)});
  }

  void Add(const NameList& other) {
    count_ += other.count_;
    for (const Entry& entry : other.shown_) {
      if (shown_.size() < kShown) shown_.push_back(entry);
    }
  }

  // Whether further names are counted only.
  bool IsFull() const { return count_ >= kShown; }
  bool empty() const { return count_ == 0; }
  size_t count() const { return count_; }

  std::string ToString() const {
    std::string text =
        absl::StrJoin(shown_, ", ", [](std::string* out, const Entry& entry) {
          out->append(QuotedName(entry.name));
          if (!entry.detail.empty()) {
            absl::StrAppend(out, " (", entry.detail, ")");
          }
        });
    if (count_ > shown_.size()) {
      absl::StrAppend(&text, " and ", count_ - shown_.size(), " more");
    }
    return text;
  }

 private:
  // Quoted where they are shown: most lists never are.
  struct Entry {
    std::string name;
    std::string detail;
  };

  static constexpr size_t kShown = 8;
  // More than QuotedName shows.
  static constexpr size_t kMaxName = 200;

  size_t count_ = 0;
  std::vector<Entry> shown_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_NAME_LIST_H_
