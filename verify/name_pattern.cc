#include "verify/name_pattern.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

// Reads a pattern and writes its steps, from left to right. Groups nest only so
// deep, so that recursion is bounded.
class PatternCompiler {
 public:
  explicit PatternCompiler(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<NamePattern> Compile() {
    MQ_RETURN_IF_ERROR(Alternatives(0));
    if (at_ < pattern_.size()) return Wrong("has a ) too many");
    Emit(Op::kMatch);
    if (steps_.size() > kMaxSteps) return Wrong("is too large");
    NamePattern compiled;
    compiled.steps_ = std::move(steps_);
    return compiled;
  }

 private:
  using Op = NamePattern::Op;
  using Step = NamePattern::Step;
  using Bytes = std::bitset<256>;

  static constexpr int kMaxDepth = 32;
  static constexpr size_t kMaxSteps = 5000;
  static constexpr int kMaxCount = 200;

  absl::Status Wrong(absl::string_view what) const {
    return InvalidArgumentError("the regular expression ", QuotedName(pattern_),
                                " ", what);
  }
  absl::Status Unknown(absl::string_view what) const {
    return UnimplementedError("the regular expression ", QuotedName(pattern_),
                              " has ", what, ", which is not looked into");
  }

  bool IsNext(char c) const {
    return at_ < pattern_.size() && pattern_[at_] == c;
  }
  bool Take(char c) {
    if (!IsNext(c)) return false;
    ++at_;
    return true;
  }

  size_t Emit(Op op) {
    steps_.emplace_back();
    steps_.back().op = op;
    return steps_.size() - 1;
  }
  void EmitBytes(const Bytes& bytes) { steps_[Emit(Op::kBytes)].bytes = bytes; }

  // Makes room for one step at `at`, behind which everything moves. What went
  // there from before goes to the new one.
  void Insert(size_t at) {
    for (size_t i = at; i < steps_.size(); ++i) {
      ++steps_[i].first;
      ++steps_[i].second;
    }
    steps_.insert(steps_.begin() + static_cast<int64_t>(at), Step());
  }

  // "a|b|c".
  absl::Status Alternatives(int depth) {
    if (depth > kMaxDepth) return Wrong("is nested too deep");
    const size_t begin = steps_.size();
    MQ_RETURN_IF_ERROR(Sequence(depth));
    std::vector<size_t> jumps;
    while (Take('|')) {
      // What is there so far, or what follows.
      Insert(begin);
      for (size_t& jump : jumps) ++jump;
      jumps.push_back(Emit(Op::kJump));
      steps_[begin].op = Op::kSplit;
      steps_[begin].first = begin + 1;
      steps_[begin].second = steps_.size();
      MQ_RETURN_IF_ERROR(Sequence(depth));
      if (steps_.size() > kMaxSteps) return Wrong("is too large");
    }
    for (const size_t jump : jumps) steps_[jump].first = steps_.size();
    return absl::OkStatus();
  }

  absl::Status Sequence(int depth) {
    while (at_ < pattern_.size() && !IsNext('|') && !IsNext(')')) {
      const size_t begin = steps_.size();
      MQ_RETURN_IF_ERROR(Atom(depth));
      MQ_RETURN_IF_ERROR(Repetition(begin));
      if (steps_.size() > kMaxSteps) return Wrong("is too large");
    }
    return absl::OkStatus();
  }

  absl::Status Atom(int depth) {
    const char c = pattern_[at_++];
    Bytes bytes;
    switch (c) {
      case '(':
        MQ_RETURN_IF_ERROR(GroupBegin());
        MQ_RETURN_IF_ERROR(Alternatives(depth + 1));
        if (!Take(')')) return Wrong("has a ( without its )");
        return absl::OkStatus();
      case '[':
        MQ_RETURN_IF_ERROR(Class(&bytes));
        EmitBytes(bytes);
        return absl::OkStatus();
      case '\\':
        MQ_RETURN_IF_ERROR(Escape(&bytes));
        EmitBytes(bytes);
        return absl::OkStatus();
      case '.':
        bytes.set();
        bytes.reset('\n');
        EmitBytes(bytes);
        return absl::OkStatus();
      case '^':
        Emit(Op::kBegin);
        return absl::OkStatus();
      case '$':
        Emit(Op::kEnd);
        return absl::OkStatus();
      case '*':
      case '+':
      case '?':
        return Wrong("repeats nothing");
      default:
        bytes.set(static_cast<uint8_t>(c));
        EmitBytes(bytes);
        return absl::OkStatus();
    }
  }

  absl::Status GroupBegin() {
    if (!Take('?')) return absl::OkStatus();
    if (Take(':')) return absl::OkStatus();
    const size_t end = pattern_.find('>', at_);
    if (absl::StartsWith(pattern_.substr(at_), "P<") &&
        end != absl::string_view::npos) {
      at_ = end + 1;
      return absl::OkStatus();
    }
    return Unknown("a lookahead, a flag or the like");
  }

  // Behind the backslash.
  absl::Status Escape(Bytes* bytes) {
    if (at_ == pattern_.size()) return Wrong("ends in a backslash");
    const char c = pattern_[at_++];
    for (int byte = 0; byte < 256; ++byte) {
      const auto letter = static_cast<unsigned char>(byte);
      switch (absl::ascii_tolower(static_cast<unsigned char>(c))) {
        case 'd':
          if (absl::ascii_isdigit(letter)) bytes->set(byte);
          break;
        case 'w':
          if (absl::ascii_isalnum(letter) || letter == '_') bytes->set(byte);
          break;
        case 's':
          if (absl::ascii_isspace(letter)) bytes->set(byte);
          break;
        default:
          break;
      }
    }
    if (bytes->any()) {
      if (absl::ascii_isupper(static_cast<unsigned char>(c))) bytes->flip();
      return absl::OkStatus();
    }
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      return Unknown(absl::StrCat("\\", absl::string_view(&c, 1)));
    }
    bytes->set(static_cast<uint8_t>(c));
    return absl::OkStatus();
  }

  // Behind the bracket.
  absl::Status Class(Bytes* bytes) {
    const bool opposite = Take('^');
    for (bool first = true;; first = false) {
      if (at_ == pattern_.size()) return Wrong("has a [ without its ]");
      if (!first && Take(']')) break;
      Bytes one;
      const char c = pattern_[at_++];
      if (c == '\\') {
        MQ_RETURN_IF_ERROR(Escape(&one));
      } else if (at_ + 1 < pattern_.size() && IsNext('-') &&
                 pattern_[at_ + 1] != ']') {
        const char last = pattern_[at_ + 1];
        if (last == '\\') return Unknown("a range to an escape");
        for (int byte = static_cast<uint8_t>(c);
             byte <= static_cast<uint8_t>(last); ++byte) {
          one.set(static_cast<size_t>(byte));
        }
        if (one.none()) return Wrong("has a range from behind");
        at_ += 2;
      } else {
        one.set(static_cast<uint8_t>(c));
      }
      *bytes |= one;
    }
    if (opposite) bytes->flip();
    return absl::OkStatus();
  }

  // Of the steps from `begin` on.
  absl::Status Repetition(size_t begin) {
    int least = 1;
    int most = 1;  // -1: any number
    if (Take('*')) {
      least = 0;
      most = -1;
    } else if (Take('+')) {
      most = -1;
    } else if (Take('?')) {
      least = 0;
    } else if (!Count(&least, &most)) {
      return absl::OkStatus();
    }
    Take('?');  // as few as can be: the same names match
    if (IsNext('*') || IsNext('+') || IsNext('?')) {
      return Unknown("a repetition of a repetition");
    }
    if (least > kMaxCount || most > kMaxCount) return Wrong("is too large");
    if (most != -1 && most < least) return Wrong("repeats from behind");
    const std::vector<Step> one(steps_.begin() + static_cast<int64_t>(begin),
                                steps_.end());
    if (one.size() * static_cast<size_t>(std::max(least, most) + 1) >
        kMaxSteps) {
      return Wrong("is too large");
    }
    steps_.resize(begin);
    for (int i = 0; i < least; ++i) Append(one, begin);
    if (most == -1) {
      const size_t split = Emit(Op::kSplit);
      Append(one, begin);
      const size_t jump = Emit(Op::kJump);
      steps_[jump].first = split;
      steps_[split].first = split + 1;
      steps_[split].second = steps_.size();
      return absl::OkStatus();
    }
    for (int i = least; i < most; ++i) {
      const size_t split = Emit(Op::kSplit);
      Append(one, begin);
      steps_[split].first = split + 1;
      steps_[split].second = steps_.size();
    }
    return absl::OkStatus();
  }

  // A copy of steps that were made to stand at `begin`.
  void Append(const std::vector<Step>& steps, size_t begin) {
    const size_t moved = steps_.size() - begin;
    for (Step step : steps) {
      step.first += moved;
      step.second += moved;
      steps_.push_back(std::move(step));
    }
  }

  // "{2}", "{2,}", "{2,3}"; anything else in braces is taken as it is.
  bool Count(int* least, int* most) {
    if (!IsNext('{')) return false;
    size_t at = at_ + 1;
    const auto number = [&](int* value) {
      const size_t begin = at;
      *value = 0;
      while (at < pattern_.size() &&
             absl::ascii_isdigit(static_cast<unsigned char>(pattern_[at]))) {
        *value = std::min(*value * 10 + (pattern_[at] - '0'), kMaxCount + 1);
        ++at;
      }
      return at > begin;
    };
    if (!number(least)) return false;
    *most = *least;
    if (at < pattern_.size() && pattern_[at] == ',') {
      ++at;
      if (!number(most)) *most = -1;
    }
    if (at == pattern_.size() || pattern_[at] != '}') {
      *least = *most = 1;
      return false;
    }
    at_ = at + 1;
    return true;
  }

  const absl::string_view pattern_;
  size_t at_ = 0;
  std::vector<Step> steps_;
};

absl::StatusOr<NamePattern> NamePattern::Parse(absl::string_view pattern) {
  return PatternCompiler(pattern).Compile();
}

bool NamePattern::Match(absl::string_view name,
                        absl::FunctionRef<bool(size_t)> end) const {
  std::vector<size_t> now = {0};  // where in the steps the matches are
  std::vector<size_t> next;
  std::vector<size_t> open;
  // For each step the position at which it was reached last, and 1.
  std::vector<size_t> reached(steps_.size(), 0);
  for (size_t at = 0;; ++at) {
    next.clear();
    open.assign(now.begin(), now.end());
    bool matches = false;
    while (!open.empty()) {
      const size_t number = open.back();
      open.pop_back();
      if (reached[number] == at + 1) continue;
      reached[number] = at + 1;
      const Step& step = steps_[number];
      switch (step.op) {
        case Op::kMatch:
          matches = true;
          break;
        case Op::kJump:
          open.push_back(step.first);
          break;
        case Op::kSplit:
          open.push_back(step.first);
          open.push_back(step.second);
          break;
        case Op::kBegin:
          if (at == 0) open.push_back(number + 1);
          break;
        case Op::kEnd:
          if (at == name.size()) open.push_back(number + 1);
          break;
        case Op::kBytes:
          if (at < name.size() &&
              step.bytes.test(static_cast<uint8_t>(name[at]))) {
            next.push_back(number + 1);
          }
          break;
      }
    }
    if (matches && end(at)) return true;
    if (at == name.size() || next.empty()) return false;
    now.swap(next);
  }
}

bool NamePattern::MatchesStart(absl::string_view name) const {
  return Match(name, [](size_t) { return true; });
}

bool NamePattern::MatchesModule(absl::string_view name) const {
  return Match(name, [&](size_t end) {
    return end == name.size() || name[end] == '.' ||
           (end > 0 && name[end - 1] == '.');
  });
}

}  // namespace monoquant
