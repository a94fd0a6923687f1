#include "verify/finding.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace monoquant {

absl::string_view SeverityName(Severity severity) {
  return severity == Severity::kError ? "error" : "warning";
}

absl::string_view FindingKindName(FindingKind kind) {
  switch (kind) {
    case FindingKind::kFiles:
      return "files";
    case FindingKind::kConfig:
      return "config";
    case FindingKind::kTensors:
      return "tensors";
    case FindingKind::kProgram:
      return "program";
  }
  return "";
}

void Findings::Add(Severity severity, FindingKind kind, absl::string_view file,
                   absl::string_view tensor, absl::string_view what,
                   absl::string_view remedy) {
  std::string key =
      absl::StrCat(SeverityName(severity), "\n", FindingKindName(kind), "\n",
                   file, "\n", what, "\n", remedy);
  // Things about no tensor are one finding each time, unless they are the same.
  if (tensor.empty()) absl::StrAppend(&key, "\n");
  const auto [it, is_new] = numbers_.try_emplace(std::move(key), list_.size());
  if (is_new) {
    ++(severity == Severity::kError ? errors_ : warnings_);
    if (list_.size() >= kMaxFindings) {
      it->second = kMaxFindings;
      return;
    }
    Finding finding;
    finding.severity = severity;
    finding.kind = kind;
    finding.file = std::string(file);
    finding.what = std::string(what);
    finding.remedy = std::string(remedy);
    list_.push_back(std::move(finding));
  }
  if (!tensor.empty() && it->second < list_.size()) {
    list_[it->second].tensors.emplace_back(tensor);
  }
}

void Findings::AddMessage(Severity severity, FindingKind kind,
                          absl::string_view file, absl::string_view message,
                          absl::string_view tensor) {
  const size_t at = message.rfind("; ");
  if (at == absl::string_view::npos) {
    Add(severity, kind, file, tensor, message, "");
  } else {
    Add(severity, kind, file, tensor, message.substr(0, at),
        message.substr(at + 2));
  }
}

}  // namespace monoquant
