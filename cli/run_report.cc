#include "cli/run_report.h"

#include <cstddef>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/human.h"
#include "cli/quality.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant::cli {
namespace {

// Readers list what they left out, which can be a lot; inspect shows it all.
constexpr size_t kMaxNoteWidth = 120;

uint64_t CountActions(const Plan& plan, Action action) {
  uint64_t count = 0;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action == action) ++count;
  }
  return count;
}

Quality MeasureQuality(const RunReport& report) {
  Quality quality;
  for (const TensorResult& tensor : report.result->tensors) {
    quality.Add(report.input->reader->index().tensors[tensor.input].name,
                tensor.error.SqnrDb());
  }
  return quality;
}

// Tensors of the file that were decoded on the way in.
uint64_t CountDecoded(const RunReport& report) {
  return report.input->reader->index().quant.tensors.empty()
             ? report.file->reader->index().quant.tensors.size()
             : 0;
}

// NaN and infinite values that were replaced or kept, over all tensors.
uint64_t CountNonfinite(const RunResult& result) {
  uint64_t count = 0;
  for (const TensorResult& tensor : result.tensors) count += tensor.nonfinite;
  return count;
}

// A line of Python that loads the output, where one line does.
std::string LoadHint(const RunReport& report) {
  const ExporterRow& row = *report.output->row;
  std::filesystem::path path = report.output->path;
  // What loads a model directory finds its files itself.
  if (row.quantization_config == nullptr) {
    const std::vector<WeightFile>& files = report.output_plan->files;
    if (files.size() != 1) return "";
    if (report.output->is_directory) path /= files[0].name;
  }
  return PythonHint(row, path.string());
}

absl::string_view ActionName(Action action) {
  switch (action) {
    case Action::kCopy:
      return "copy";
    case Action::kQuantize:
      return "quantize";
    case Action::kTie:
      return "tie";
  }
  return "copy";
}

Json TensorsToJson(const RunReport& report) {
  std::map<size_t, const TensorResult*> results;
  for (const TensorResult& tensor : report.result->tensors) {
    results[tensor.input] = &tensor;
  }
  const CheckpointIndex& index = report.input->reader->index();
  Json tensors((Json::Array()));
  for (const TensorPlan& plan : report.plan->tensors) {
    Json json;
    json.Set("name", index.tensors[plan.input].name);
    json.Set("action", ActionName(plan.action));
    json.Set("reason", plan.reason);
    if (plan.action == Action::kQuantize) {
      json.Set("scheme", SchemeToJson(plan.scheme));
      if (plan.storage == QuantStorage::kBitsandbytesNested) {
        json.Set("double_quant", true);
      }
    }
    if (const auto found = results.find(plan.input); found != results.end()) {
      const ErrorStats& error = found->second->error;
      AppendErrorJson(error.SqnrDb(), error, json);
    }
    tensors.Append(std::move(json));
  }
  return tensors;
}

}  // namespace

std::string PlanToLine(const Plan& plan) {
  std::map<std::string, uint64_t> schemes;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action == Action::kQuantize) {
      ++schemes[StoredSchemeToString(tensor.storage, tensor.scheme)];
    }
  }
  std::vector<std::string> parts;
  for (const auto& [scheme, count] : schemes) {
    parts.push_back(absl::StrCat(count, " quantized to ", scheme));
  }
  if (const uint64_t copied = CountActions(plan, Action::kCopy); copied > 0) {
    parts.push_back(absl::StrCat(copied, " copied"));
  }
  if (const uint64_t tied = CountActions(plan, Action::kTie); tied > 0) {
    parts.push_back(absl::StrCat(tied, " tied"));
  }
  return parts.empty() ? "no tensors" : absl::StrJoin(parts, ", ");
}

std::string ProgramToLine(const OutputTarget& output, const Plan& plan) {
  const uint64_t left = plan.left_for_program();
  return absl::StrCat(output.program->title, ": ", output.row->exporter->name(),
                      left == 0 ? ""
                                : absl::StrCat(", ", Plural(left, "weight"),
                                               " not quantized for its sake"));
}

void AppendProgramJson(const OutputTarget& output, const Plan& plan,
                       Json& json) {
  if (output.program == nullptr) return;
  Json program;
  program.Set("program", output.program->name);
  program.Set("left", plan.left_for_program());
  json.Set("for", std::move(program));
}

std::string IndexToLine(const CheckpointIndex& index, uint64_t file_bytes) {
  std::string text = absl::StrCat(index.container, ", ",
                                  Plural(index.tensors.size(), "tensor"), ", ",
                                  HumanBytes(file_bytes));
  if (!index.root.empty()) {
    absl::StrAppend(&text, ", weights in '", Printable(index.root), "'");
  }
  return text;
}

std::string ReportToText(const RunReport& report) {
  std::string text;
  const auto line = [&text](absl::string_view label, absl::string_view rest) {
    absl::StrAppend(&text, label, std::string(10 - label.size(), ' '), rest,
                    "\n");
  };
  const Input& file = *report.file;
  const RunResult& result = *report.result;
  line("read",
       absl::StrCat(Printable(file.path), "  ",
                    IndexToLine(file.reader->index(), file.file_bytes)));
  if (const uint64_t decoded = CountDecoded(report); decoded > 0) {
    line("decode", absl::StrCat(Plural(decoded, "tensor"),
                                ", quantized already, back to floats"));
  }
  line("plan", PlanToLine(*report.plan));
  if (report.output->program != nullptr) {
    line("for", ProgramToLine(*report.output, *report.plan));
  }
  const OutputPlan& output = *report.output_plan;
  const std::string files =
      output.files.size() == 1
          ? ""
          : absl::StrCat(Plural(output.files.size(), "shard"), ", ");
  line("wrote", absl::StrCat(Printable(report.output->path), "  ",
                             report.output->row->exporter->name(), ", ", files,
                             HumanBytes(output.weight_bytes()), ", ",
                             HumanRatio(file.file_bytes, output.weight_bytes()),
                             ", ", HumanSeconds(result.seconds)));
  if (!output.side_files.empty()) {
    line("carried",
         Shortened(Printable(FewNames(output.side_files)), kMaxNoteWidth));
  }
  for (const TextFile& made : output.made_files) line("made", made.name);
  if (!result.tensors.empty()) {
    line("quality", MeasureQuality(report).ToString());
  }
  if (const uint64_t count = CountNonfinite(result); count > 0) {
    line("nonfinite", absl::StrCat(Plural(count, "NaN or infinite value"),
                                   report.plan->nonfinite == Nonfinite::kZero
                                       ? " counted as 0"
                                       : " kept"));
  }
  const std::string hint = LoadHint(report);
  if (!hint.empty()) line("load", Printable(hint));
  for (const std::string& note : report.notes) {
    line("note", Shortened(Printable(note), kMaxNoteWidth));
  }
  return text;
}

Json ReportToJson(const RunReport& report) {
  const RunResult& result = *report.result;
  Json input;
  input.Set("path", report.file->path);
  input.Set("container", report.file->reader->index().container);
  input.Set("bytes", report.file->file_bytes);

  Json output;
  output.Set("path", report.output->path);
  output.Set("format", report.output->row->exporter->name());
  output.Set("bytes", report.output_plan->weight_bytes());
  const std::string hint = LoadHint(report);
  output.Set("load", hint.empty() ? Json() : Json(hint));
  AppendFilesJson(*report.output_plan, output);

  const Plan& plan = *report.plan;
  Json summary;
  summary.Set("tensors", plan.tensors.size());
  summary.Set("quantized", CountActions(plan, Action::kQuantize));
  summary.Set("copied", CountActions(plan, Action::kCopy));
  summary.Set("tied", CountActions(plan, Action::kTie));
  summary.Set("decoded", CountDecoded(report));
  summary.Set("nonfinite", CountNonfinite(result));
  summary.Set("compression_ratio",
              static_cast<double>(report.file->file_bytes) /
                  static_cast<double>(report.output_plan->weight_bytes()));
  summary.Set("sqnr_db", MeasureQuality(report).ToJson());

  Json notes((Json::Array()));
  for (const std::string& note : report.notes) notes.Append(note);

  Json json;
  json.Set("schema", "monoquant/result/1");
  json.Set("command", report.command);
  json.Set("input", std::move(input));
  json.Set("output", std::move(output));
  json.Set("summary", std::move(summary));
  AppendProgramJson(*report.output, plan, json);
  json.Set("tensors", TensorsToJson(report));
  json.Set("notes", std::move(notes));
  json.Set("seconds", result.seconds);
  return json;
}

void PrintReport(const RunReport& report, const ReportArgs& args,
                 Streams& streams) {
  if (args.json) {
    streams.WriteDocument(ReportToJson(report));
  } else if (!args.quiet) {
    *streams.out << ReportToText(report);
  }
}

}  // namespace monoquant::cli
