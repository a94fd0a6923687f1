#include "cli/verify_command.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/parallel.h"
#include "cli/progress.h"
#include "cli/timer.h"
#include "exporters/programs.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"
#include "verify/verify.h"

namespace monoquant::cli {
namespace {

// Of the tensors of a finding; --json lists them all.
constexpr size_t kMaxTensorsShown = 3;

std::string SubjectOf(const Finding& finding) {
  std::vector<std::string> parts;
  if (!finding.file.empty()) parts.push_back(finding.file);
  std::vector<std::string> tensors = finding.tensors;
  const size_t count = tensors.size();
  if (count > kMaxTensorsShown) tensors.resize(kMaxTensorsShown);
  std::string listed = absl::StrJoin(tensors, ", ");
  if (count > kMaxTensorsShown) {
    absl::StrAppend(&listed, " and ", count - kMaxTensorsShown, " more");
  }
  if (!listed.empty()) parts.push_back(std::move(listed));
  return absl::StrJoin(parts, ": ");
}

std::string Sentence(const Finding& finding) {
  std::string text = SubjectOf(finding);
  if (!text.empty()) text += ": ";
  text += finding.what;
  if (!finding.remedy.empty()) absl::StrAppend(&text, "; ", finding.remedy);
  return Printable(text);
}

std::string Counts(const VerifyReport& report) {
  return absl::StrCat(Plural(report.findings.errors(), "error"), ", ",
                      Plural(report.findings.warnings(), "warning"));
}

std::string Head(const VerifyReport& report) {
  std::string text = absl::StrCat("read      ", Printable(report.path));
  if (!report.complete) return text + "\n";
  absl::StrAppend(&text, "  ", report.container, ", ");
  // "safetensors-sharded" says it.
  if (!absl::StartsWith(report.container, report.format)) {
    absl::StrAppend(&text, Printable(report.format), ", ");
  }
  absl::StrAppend(&text, Plural(report.tensors, "tensor"), ", ");
  if (report.quantized > 0) {
    absl::StrAppend(&text, Plural(report.quantized, "weight"), " quantized, ");
  }
  absl::StrAppend(&text, HumanBytes(report.bytes), "\n");
  return text;
}

std::string Tail(const VerifyReport& report, const Program* program) {
  std::string text;
  if (report.checksums.has_value()) {
    const Checksums& checksums = *report.checksums;
    if (!checksums.verified.empty()) {
      absl::StrAppend(&text, "checksums compared in ",
                      Printable(absl::StrJoin(checksums.verified, ", ")), "\n");
    }
    if (!checksums.without.empty()) {
      absl::StrAppend(&text, "checksums there are none in ",
                      Printable(absl::StrJoin(checksums.without, ", ")), "\n");
    }
  }
  if (!report.complete) {
    absl::StrAppend(&text,
                    "note      tensors and configuration are checked when the "
                    "files are whole\n");
  }
  absl::StrAppend(&text, "result    ");
  if (report.findings.errors() > 0 || report.findings.warnings() > 0) {
    absl::StrAppend(&text, Counts(report));
  } else {
    absl::StrAppend(&text, "nothing wrong");
  }
  if (program != nullptr) absl::StrAppend(&text, " for ", program->title);
  return text + "\n";
}

std::string ToText(const VerifyReport& report, const Program* program) {
  std::string text = Head(report);
  for (const Finding& finding : report.findings.list()) {
    absl::StrAppend(
        &text,
        finding.severity == Severity::kError ? "error     " : "warning   ",
        Sentence(finding), "\n");
  }
  return text + Tail(report, program);
}

// What the exit code says.
absl::Status Conclude(const VerifyReport& report, const Program* program) {
  for (const Finding& finding : report.findings.list()) {
    if (finding.severity != Severity::kError) continue;
    return AbortedError(
        report.path, ": ", Counts(report),
        program == nullptr ? "" : absl::StrCat(" for ", program->title),
        "; the first: ", Sentence(finding));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunVerify(const VerifyArgs& args, Streams& streams) {
  MQ_RETURN_IF_ERROR(CheckInputGiven(args.input));
  VerifyOptions options;
  options.hashes = args.hashes;
  options.allow_opaque = args.input.allow_opaque;
  if (!args.program.empty()) {
    MQ_ASSIGN_OR_RETURN(options.program, FindProgram(args.program));
  }
  MQ_ASSIGN_OR_RETURN(const CheckpointFiles files,
                      OpenLocalCheckpoint(args.input.path));
  absl::StatusOr<VerifyReport> report;
  {
    Progress progress(args.report.progress, "verifying", streams.err);
    const Timer timer;
    const auto tick = [&](uint64_t done, uint64_t total) -> absl::Status {
      if (*streams.cancel) return CancelledError(kInterrupted);
      progress.Update(done, total, timer.seconds());
      return absl::OkStatus();
    };
    report = VerifyCheckpoint(files, options, tick);
  }
  if (!report.ok()) return report.status();
  if (args.report.json) {
    streams.WriteDocument(VerifyReportToJson(*report, options));
  } else if (!args.report.quiet) {
    *streams.out << ToText(*report, options.program);
  }
  return Conclude(*report, options.program);
}

}  // namespace monoquant::cli
