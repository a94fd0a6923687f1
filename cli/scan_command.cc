#include "cli/scan_command.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "cli/human.h"
#include "cli/table.h"
#include "frontends/pickle/opcode_names.h"
#include "frontends/scan/scan.h"
#include "ir/errors.h"
#include "ir/json.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// One of the paths on the command line.
struct ScannedFile {
  std::string path;
  absl::StatusOr<ScanReport> report;
};

absl::string_view VerdictName(GlobalVerdict verdict) {
  switch (verdict) {
    case GlobalVerdict::kSafe:
    case GlobalVerdict::kConditional:
      return "safe";
    case GlobalVerdict::kUnknown:
      return "unknown";
    case GlobalVerdict::kDangerous:
      return "dangerous";
  }
  return "";
}

absl::StatusOr<ScanReport> ScanPath(const std::string& path) {
  MQ_ASSIGN_OR_RETURN(const CheckpointFiles files, OpenLocalCheckpoint(path));
  return ScanCheckpoint(files);
}

std::string Where(const std::vector<std::string>& where) {
  return absl::StrJoin(where, " > ");
}

std::string At(PickleOp op, uint32_t position) {
  return absl::StrCat(PickleOpName(op), " at byte ", position);
}

std::string GlobalsTable(const ScannedPickle& pickle) {
  Table table({"verdict", "use", "global", "named by", "used by"}, {});
  for (const AuditedGlobal& global : pickle.globals) {
    std::string named = global.mentions.positions.empty()
                            ? ""
                            : At(global.op, global.mentions.positions[0]);
    if (global.mentions.count > 1) {
      named += absl::StrCat(" and ", global.mentions.count - 1, " more");
    }
    table.Add({std::string(VerdictName(global.verdict)),
               std::string(GlobalUseName(global.use)),
               absl::StrCat(global.global.module, ".", global.global.name),
               std::move(named),
               global.use == GlobalUse::kReferenced
                   ? ""
                   : At(global.use_op, global.use_position)});
  }
  return table.ToString();
}

std::string PickleText(const ScannedPickle& pickle) {
  std::string text = absl::StrCat(
      "\npickle    ", Printable(Where(pickle.where)),
      pickle.where.empty() ? "" : "  ",
      pickle.offset == 0 ? "" : absl::StrCat("at byte ", pickle.offset, "  "),
      ScanVerdictName(pickle.verdict), ", protocol ", pickle.protocol, ", ",
      Plural(pickle.instructions, "instruction"), ", ",
      HumanBytes(pickle.bytes), "\n");
  for (const PickleFinding& finding : pickle.findings) {
    text += absl::StrCat("finding   ", Printable(finding.what), " (",
                         At(finding.op, finding.position), ")\n");
  }
  if (!pickle.malformed.empty()) {
    text += absl::StrCat("malformed ", Printable(pickle.malformed), "\n");
  }
  if (!pickle.globals.empty()) text += GlobalsTable(pickle);
  if (pickle.globals_left_out > 0) {
    text += absl::StrCat("and ", Plural(pickle.globals_left_out, "global"),
                         " more\n");
  }
  return text;
}

std::string FileText(const ScannedFile& file) {
  std::string text = Printable(file.path);
  if (!file.report.ok()) {
    return absl::StrCat(
        text, "  not read: ", Printable(file.report.status().message()), "\n");
  }
  const ScanReport& report = *file.report;
  text += absl::StrCat("  ", ScanVerdictName(report.verdict), "  ",
                       report.pickles.empty()
                           ? "no pickles"
                           : Plural(report.pickles.size(), "pickle"),
                       "\n");
  for (const ScanProblem& problem : report.problems) {
    text += absl::StrCat("problem   ", Printable(Where(problem.where)),
                         problem.where.empty() ? "" : ": ",
                         Printable(problem.what), "\n");
  }
  for (const ScannedPickle& pickle : report.pickles) text += PickleText(pickle);
  return text;
}

Json GlobalToJson(const AuditedGlobal& global) {
  const bool is_used = global.use != GlobalUse::kReferenced;
  Json json;
  json.Set("module", global.global.module);
  json.Set("name", global.global.name);
  json.Set("verdict", VerdictName(global.verdict));
  json.Set("use", GlobalUseName(global.use));
  json.Set("instruction", PickleOpName(global.op));
  json.Set("count", global.mentions.count);
  json.Set("positions", Json::Array(global.mentions.positions.begin(),
                                    global.mentions.positions.end()));
  json.Set("used_by", is_used ? Json(PickleOpName(global.use_op)) : Json());
  json.Set("used_at", is_used ? Json(global.use_position) : Json());
  return json;
}

Json PickleToJson(const ScannedPickle& pickle) {
  Json findings((Json::Array()));
  for (const PickleFinding& finding : pickle.findings) {
    Json json;
    json.Set("what", finding.what);
    json.Set("instruction", PickleOpName(finding.op));
    json.Set("position", finding.position);
    findings.Append(std::move(json));
  }
  Json globals((Json::Array()));
  for (const AuditedGlobal& global : pickle.globals) {
    globals.Append(GlobalToJson(global));
  }
  Json json;
  json.Set("where", Json::Array(pickle.where.begin(), pickle.where.end()));
  json.Set("offset", pickle.offset);
  json.Set("bytes", pickle.bytes);
  json.Set("protocol", pickle.protocol);
  json.Set("instructions", pickle.instructions);
  json.Set("verdict", ScanVerdictName(pickle.verdict));
  json.Set("malformed",
           pickle.malformed.empty() ? Json() : Json(pickle.malformed));
  json.Set("findings", std::move(findings));
  json.Set("globals", std::move(globals));
  json.Set("globals_left_out", pickle.globals_left_out);
  return json;
}

Json FileToJson(const ScannedFile& file) {
  Json problems((Json::Array()));
  Json pickles((Json::Array()));
  Json verdict;
  Json error;
  if (file.report.ok()) {
    verdict = ScanVerdictName(file.report->verdict);
    for (const ScanProblem& problem : file.report->problems) {
      Json json;
      json.Set("where",
               Json::Array(problem.where.begin(), problem.where.end()));
      json.Set("what", problem.what);
      problems.Append(std::move(json));
    }
    for (const ScannedPickle& pickle : file.report->pickles) {
      pickles.Append(PickleToJson(pickle));
    }
  } else {
    error = file.report.status().message();
  }
  Json json;
  json.Set("path", file.path);
  json.Set("verdict", std::move(verdict));
  json.Set("error", std::move(error));
  json.Set("problems", std::move(problems));
  json.Set("pickles", std::move(pickles));
  return json;
}

// The first thing to know about a file that is not in order.
std::string FirstReason(const ScanReport& report) {
  for (const ScannedPickle& pickle : report.pickles) {
    if (pickle.verdict != report.verdict) continue;
    return pickle.findings.empty()
               ? pickle.malformed
               : absl::StrCat(pickle.findings[0].what, " (not executed)");
  }
  return report.problems.empty() ? "" : report.problems[0].what;
}

// What the exit code says.
absl::Status Conclude(const std::vector<ScannedFile>& files) {
  absl::Status unreadable;
  for (const ScannedFile& file : files) {
    if (!file.report.ok()) {
      if (unreadable.ok()) unreadable = file.report.status();
      continue;
    }
    if (file.report->verdict == ScanVerdict::kDangerous) {
      return DataLossError(file.path,
                           ": dangerous: ", FirstReason(*file.report),
                           "; do not load it in Python");
    }
  }
  for (const ScannedFile& file : files) {
    if (file.report.ok() && file.report->verdict == ScanVerdict::kMalformed) {
      return DataLossError(file.path,
                           ": malformed: ", FirstReason(*file.report),
                           "; do not load it in Python, or download it again");
    }
  }
  return unreadable;
}

}  // namespace

absl::Status RunScan(const ScanArgs& args, Streams& streams) {
  if (args.paths.empty()) {
    return InvalidArgumentError(
        "no file given; name files or directories to scan");
  }
  std::vector<ScannedFile> files;
  ScanVerdict worst = ScanVerdict::kSafe;
  for (const std::string& path : args.paths) {
    if (*streams.cancel) return CancelledError("interrupted");
    files.push_back({path, ScanPath(path)});
    const ScannedFile& file = files.back();
    if (file.report.ok()) worst = std::max(worst, file.report->verdict);
    if (args.report.json || args.report.quiet) continue;
    *streams.out << (files.size() > 1 ? "\n" : "") << FileText(file);
  }
  if (args.report.json) {
    Json list((Json::Array()));
    for (const ScannedFile& file : files) list.Append(FileToJson(file));
    Json json;
    json.Set("schema", "monoquant/scan/1");
    json.Set("verdict", ScanVerdictName(worst));
    json.Set("files", std::move(list));
    streams.WriteDocument(json);
  }
  return Conclude(files);
}

}  // namespace monoquant::cli
