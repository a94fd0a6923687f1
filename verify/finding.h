// What is wrong with a checkpoint, one thing each.

#ifndef MONOQUANT_VERIFY_FINDING_H_
#define MONOQUANT_VERIFY_FINDING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace monoquant {

enum class Severity : uint8_t {
  kWarning,  // it loads, but slower than it could, or it is unusual
  kError,    // it does not load, or other numbers are loaded than were meant
};

// Which of the checks has found it.
enum class FindingKind : uint8_t {
  kFiles,    // files, their index, checksums
  kConfig,   // the configuration, by itself and against the tensors
  kTensors,  // the tensors, without a configuration
  kProgram,  // what one program can load
};

// "warning", "error".
absl::string_view SeverityName(Severity severity);
// "files", "config", "tensors", "program".
absl::string_view FindingKindName(FindingKind kind);

struct Finding {
  Severity severity = Severity::kError;
  FindingKind kind = FindingKind::kFiles;
  // Bare name; empty where it is not about one file.
  std::string file;
  // The tensors or weights that it is about, in the order in which they were
  // found; none where it is about no tensor.
  std::vector<std::string> tensors;
  // "is missing": a sentence of which the file or the tensors are the subject.
  std::string what;
  // What to do about it; may be empty.
  std::string remedy;
};

// The findings so far. What is wrong with many tensors in the same way is one
// finding.
class Findings {
 public:
  // More are counted only.
  static constexpr size_t kMaxFindings = 1000;

  void Error(FindingKind kind, absl::string_view file, absl::string_view tensor,
             absl::string_view what, absl::string_view remedy) {
    Add(Severity::kError, kind, file, tensor, what, remedy);
  }
  void Warning(FindingKind kind, absl::string_view file,
               absl::string_view tensor, absl::string_view what,
               absl::string_view remedy) {
    Add(Severity::kWarning, kind, file, tensor, what, remedy);
  }
  // `file` and `tensor` may be empty.
  void Add(Severity severity, FindingKind kind, absl::string_view file,
           absl::string_view tensor, absl::string_view what,
           absl::string_view remedy);

  // The same for the message of a status: "SUBJECT: WHAT; REMEDY", or what
  // follows SUBJECT where that is the tensor.
  void AddMessage(Severity severity, FindingKind kind, absl::string_view file,
                  absl::string_view message, absl::string_view tensor = "");

  const std::vector<Finding>& list() const { return list_; }
  size_t errors() const { return errors_; }
  size_t warnings() const { return warnings_; }

 private:
  std::vector<Finding> list_;
  // By everything but the tensors.
  absl::flat_hash_map<std::string, size_t> numbers_;
  // Of all, listed or not.
  size_t errors_ = 0;
  size_t warnings_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_FINDING_H_
