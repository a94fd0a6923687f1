#include "verify/verify.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/frontend.h"
#include "frontends/sharded/checkpoint_directory.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/status_macros.h"
#include "verify/checks.h"
#include "verify/subject.h"

namespace monoquant {
namespace {

// The kinds of errors that say something about the files, not about the disk.
bool IsAboutContent(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsUnimplemented(status) ||
         absl::IsNotFound(status) || absl::IsInvalidArgument(status);
}

// The file that stands for the checkpoint; empty if there are several or none.
std::string MainFile(const CheckpointFiles& files) {
  if (!files.is_directory) return files.main;
  if (!HasCheckpoint(files)) return "";
  return FindCheckpoint(files).value_or("");
}

class Verifier {
 public:
  Verifier(const CheckpointFiles& files, const VerifyOptions& options,
           VerifyReport* report)
      : options_(options), report_(*report), subject_(files) {
    subject_.program = options.program;
  }

  absl::Status Run(VerifyProgress progress) {
    MQ_RETURN_IF_ERROR(Open());
    if (subject_.stored == nullptr) return absl::OkStatus();
    MQ_RETURN_IF_ERROR(OpenRecord());
    MQ_RETURN_IF_ERROR(OpenConfig());
    if (!config_is_damaged_) CheckMethod(&subject_, findings());
    MQ_ASSIGN_OR_RETURN(const QuantRecord found, FindRecordedWeights());
    FindWeights(found, &subject_);
    CheckConfig(subject_, findings());
    CheckTorchaoMetadata(subject_, findings());
    MQ_RETURN_IF_ERROR(CheckGptqParts(subject_, findings()));
    MQ_RETURN_IF_ERROR(CheckGlobalScales(subject_, findings()));
    CheckTensors(subject_, findings());
    CheckProgram(subject_, findings());
    Describe();
    if (options_.hashes) {
      MQ_ASSIGN_OR_RETURN(report_.checksums,
                          CheckChecksums(subject_, progress, findings()));
    }
    return absl::OkStatus();
  }

 private:
  Findings* findings() { return &report_.findings; }
  const CheckpointFiles& files() const { return subject_.files; }

  OpenOptions Options(bool as_stored, bool without_record) const {
    OpenOptions options;
    options.allow_opaque = options_.allow_opaque;
    options.as_stored = as_stored;
    options.without_record = without_record;
    return options;
  }

  // Opens the tensors as they are stored, or adds why that cannot be.
  absl::Status Open() {
    subject_.main_file = MainFile(files());
    const bool is_index = IsIndexName(subject_.main_file);
    if (is_index) {
      MQ_RETURN_IF_ERROR(CheckShards(&subject_, findings()));
      if (report_.findings.errors() > 0 && !OnlySizesDiffer()) {
        return absl::OkStatus();
      }
    }
    auto stored = OpenCheckpoint(files(), Options(/*as_stored=*/true,
                                                  /*without_record=*/true));
    if (!stored.ok()) {
      const bool in_directory =
          is_index || (files().is_directory && HasCheckpoint(files()));
      if (!in_directory || !IsAboutContent(stored.status())) {
        return stored.status();
      }
      findings()->AddMessage(Severity::kError, FindingKind::kFiles, "",
                             stored.status().message());
      return absl::OkStatus();
    }
    report_.complete = true;
    subject_.stored = *std::move(stored);
    const CheckpointIndex& index = subject_.stored->index();
    subject_.by_name.reserve(index.tensors.size());
    for (size_t i = 0; i < index.tensors.size(); ++i) {
      subject_.by_name[index.tensors[i].name] = i;
    }
    if (subject_.globals.empty()) subject_.globals = index.globals;
    return absl::OkStatus();
  }

  // Whether the files can be opened in spite of what was found.
  bool OnlySizesDiffer() const {
    for (const Finding& finding : report_.findings.list()) {
      if (finding.severity == Severity::kError &&
          !absl::StartsWith(finding.what, "total_size")) {
        return false;
      }
    }
    return true;
  }

  absl::Status OpenRecord() {
    auto reader = OpenCheckpoint(files(), Options(/*as_stored=*/true,
                                                  /*without_record=*/false));
    if (reader.ok()) {
      subject_.record = (*reader)->index().quant;
      return absl::OkStatus();
    }
    if (!IsAboutContent(reader.status())) return reader.status();
    findings()->AddMessage(Severity::kError, FindingKind::kTensors, "",
                           reader.status().message());
    return absl::OkStatus();
  }

  absl::Status OpenConfig() {
    auto config =
        ReadModelConfig(files(), "says how the weights are quantized");
    if (config.ok()) {
      subject_.config = *std::move(config);
      return absl::OkStatus();
    }
    if (!IsAboutContent(config.status())) return config.status();
    config_is_damaged_ = true;
    findings()->AddMessage(Severity::kError, FindingKind::kConfig,
                           "config.json", config.status().message());
    return absl::OkStatus();
  }

  // Opens the weights as what they stand for, by tensors and configuration
  // alone: whatever contradicts itself shows.
  absl::StatusOr<QuantRecord> FindRecordedWeights() {
    if (config_is_damaged_) return QuantRecord();
    std::vector<absl::Status> problems;
    OpenOptions options = Options(/*as_stored=*/false, /*without_record=*/true);
    options.problems = &problems;
    const auto reader = OpenCheckpoint(files(), options);
    if (!reader.ok()) {
      if (!IsAboutContent(reader.status())) return reader.status();
      problems.push_back(reader.status());
    }
    for (const absl::Status& problem : problems) AddProblem(problem);
    subject_.weights_are_known = problems.empty();
    return reader.ok() ? (*reader)->index().quant : QuantRecord();
  }

  // What opening says of a weight, or of the configuration.
  void AddProblem(const absl::Status& problem) {
    const absl::string_view message = problem.message();
    const absl::string_view name = TensorOf(message);
    const FindingKind kind = absl::StrContains(message, "tensor '")
                                 ? FindingKind::kTensors
                                 : FindingKind::kConfig;
    const std::string what =
        name.empty() ? std::string(message) : AboutTensor(name, message);
    if (absl::IsUnimplemented(problem)) {
      findings()->Warning(kind, "", name,
                          what.substr(0, what.find(", which is not read")),
                          "its weights are not checked any further, since "
                          "monoquant does not read them");
    } else {
      findings()->AddMessage(Severity::kError, kind, "", what, name);
    }
  }

  // The tensor that an error is about, "PATH: tensor 'NAME': WHAT"; empty if it
  // is about none, or one of an unusual name.
  absl::string_view TensorOf(absl::string_view message) const {
    const std::string beginning =
        absl::StrCat(subject_.stored->index().path, ": tensor '");
    if (!absl::ConsumePrefix(&message, beginning)) return "";
    const absl::string_view name = message.substr(0, message.find("': "));
    return subject_.Find(name) == nullptr ? "" : name;
  }

  // WHAT, with the module's name as "*", so that what is wrong with many
  // tensors in the same way is one finding.
  static std::string AboutTensor(absl::string_view name,
                                 absl::string_view message) {
    const absl::string_view what =
        message.substr(message.find("': ") + absl::string_view("': ").size());
    size_t end = name.rfind(".weight");
    if (end == absl::string_view::npos) end = name.rfind('.');
    if (end == absl::string_view::npos) return std::string(what);
    return absl::StrReplaceAll(
        what, {{absl::StrCat("'", name.substr(0, end + 1)), "'*."}});
  }

  void Describe() {
    const CheckpointIndex& index = subject_.stored->index();
    report_.container = index.container;
    report_.format = FormatOf(subject_);
    report_.tensors = index.tensors.size();
    report_.quantized = subject_.weights.size();
    if (report_.quantized == 0) {
      for (const QuantizedTensor& tensor : subject_.record.tensors) {
        if (HasScales(tensor.scheme.format)) ++report_.quantized;
      }
    }
    for (const TensorInfo& tensor : index.tensors) {
      if (tensor.tie == kNoTie) report_.bytes += tensor.byte_size;
    }
  }

  const VerifyOptions& options_;
  VerifyReport& report_;
  Subject subject_;
  bool config_is_damaged_ = false;
};

Json NamesToJson(const std::vector<std::string>& names) {
  return Json(Json::Array(names.begin(), names.end()));
}

Json OrNull(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

}  // namespace

absl::StatusOr<VerifyReport> VerifyCheckpoint(const CheckpointFiles& files,
                                              const VerifyOptions& options,
                                              VerifyProgress progress) {
  VerifyReport report;
  report.path = files.path;
  MQ_RETURN_IF_ERROR(Verifier(files, options, &report).Run(progress));
  return report;
}

Json VerifyReportToJson(const VerifyReport& report,
                        const VerifyOptions& options) {
  Json list((Json::Array()));
  for (const Finding& finding : report.findings.list()) {
    Json json;
    json.Set("severity", SeverityName(finding.severity));
    json.Set("check", FindingKindName(finding.kind));
    json.Set("file", OrNull(finding.file));
    json.Set("tensors", NamesToJson(finding.tensors));
    json.Set("what", finding.what);
    json.Set("remedy", OrNull(finding.remedy));
    list.Append(std::move(json));
  }
  Json checksums;
  if (report.checksums.has_value()) {
    checksums.Set("verified", NamesToJson(report.checksums->verified));
    checksums.Set("without", NamesToJson(report.checksums->without));
  }
  Json json;
  json.Set("schema", "monoquant/verify/1");
  json.Set("path", report.path);
  json.Set("container", OrNull(report.container));
  json.Set("format", OrNull(report.format));
  json.Set("program",
           options.program == nullptr ? Json() : Json(options.program->name));
  json.Set("ok", report.findings.errors() == 0);
  json.Set("complete", report.complete);
  json.Set("errors", report.findings.errors());
  json.Set("warnings", report.findings.warnings());
  json.Set("tensors", report.tensors);
  json.Set("quantized", report.quantized);
  json.Set("bytes", report.bytes);
  json.Set("checksums", std::move(checksums));
  json.Set("findings", std::move(list));
  return json;
}

}  // namespace monoquant
