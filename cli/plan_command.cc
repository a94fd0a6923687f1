#include "cli/plan_command.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/job_size.h"
#include "cli/output_file.h"
#include "cli/output_plan.h"
#include "cli/run_report.h"
#include "cli/table.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "exporters/side_files.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

std::string Outcome(const CheckpointIndex& index, const TensorPlan& plan) {
  switch (plan.action) {
    case Action::kQuantize:
      return StoredSchemeToString(plan.storage, plan.scheme);
    case Action::kTie:
      return absl::StrCat("tied to ",
                          index.tensors[index.tensors[plan.input].tie].name);
    case Action::kCopy:
      break;
  }
  return "copied";
}

std::string PlanTable(const CheckpointIndex& index, const Plan& plan) {
  Table table({"tensor", "dtype", "shape", "becomes", "reason"}, {});
  for (const TensorPlan& each : plan.tensors) {
    const TensorInfo& info = index.tensors[each.input];
    table.Add({info.name, std::string(DTypeName(info.dtype)),
               ShapeToString(info.shape), Outcome(index, each), each.reason});
  }
  return table.ToString();
}

// The files of an output that is a directory.
std::string FilesTable(const OutputTarget& output, const OutputPlan& plan) {
  if (!output.is_directory) return "";
  Table table(
      {"file", "tensors", "size"},
      {Table::Align::kLeft, Table::Align::kRight, Table::Align::kRight});
  for (const WeightFile& file : plan.files) {
    table.Add({file.name, absl::StrCat(file.tensors),
               HumanBytes(file.layout.file_size)});
  }
  std::string text = table.ToString();
  if (!plan.side_files.empty()) {
    absl::StrAppend(&text, "carried: ", Printable(FewNames(plan.side_files)),
                    "\n");
  }
  for (const TextFile& made : plan.made_files) {
    absl::StrAppend(&text, "made: ", made.name, "\n");
  }
  for (const std::string& note : plan.notes) {
    absl::StrAppend(&text, "note: ", Printable(note), "\n");
  }
  return text + "\n";
}

// What --for did.
std::string ProgramLine(const OutputTarget& output, const Plan& plan) {
  if (output.program == nullptr) return "";
  return absl::StrCat("for ", ProgramToLine(output, plan), "\n");
}

}  // namespace

absl::Status RunPlan(const PlanArgs& args, Streams& streams) {
  const TransformArgs& transform = args.transform;
  MQ_RETURN_IF_ERROR(CheckInputGiven(transform.input));
  MQ_ASSIGN_OR_RETURN(const absl::string_view scheme,
                      DefaultScheme(transform.output));
  MQ_ASSIGN_OR_RETURN(const Recipe recipe, BuildRecipe(args.recipe, scheme));
  MQ_ASSIGN_OR_RETURN(const Input file, OpenInput(transform.input));
  MQ_ASSIGN_OR_RETURN(
      const OutputTarget output,
      ChooseOutput(transform.output, file, TypeName(args.recipe, recipe)));
  MQ_ASSIGN_OR_RETURN(const Input input, Dequantized(file));
  const CheckpointIndex& index = input.reader->index();
  MQ_ASSIGN_OR_RETURN(const Plan plan,
                      MakePlan(index, recipe, PlanOptionsFor(output)));
  MQ_ASSIGN_OR_RETURN(
      const OutputPlan output_plan,
      PlanOutput(file, input, output, plan, *output.row->exporter,
                 transform.output.max_shard_bytes));
  MQ_ASSIGN_OR_RETURN(const JobSize size, ChooseJobSize(plan, transform.run));
  if (transform.report.json) {
    Json document = PlanToJson(index, plan);
    AppendFilesJson(output_plan, document);
    AppendProgramJson(output, plan, document);
    streams.WriteDocument(document);
    return absl::OkStatus();
  }
  if (transform.report.quiet) return absl::OkStatus();

  *streams.out << Printable(file.path) << "  "
               << IndexToLine(file.reader->index(), file.file_bytes) << "\n\n"
               << PlanTable(index, plan) << '\n'
               << FilesTable(output, output_plan) << PlanToLine(plan) << '\n'
               << ProgramLine(output, plan) << HumanBytes(file.file_bytes)
               << " become " << HumanBytes(output_plan.weight_bytes()) << " as "
               << output.row->exporter->name() << ", "
               << HumanRatio(file.file_bytes, output_plan.weight_bytes())
               << "; memory at most "
               << HumanBytes(PeakMemory(plan, size.threads, size.chunk_bytes))
               << " besides the index, with "
               << Plural(static_cast<uint64_t>(size.threads), "thread") << '\n';
  return absl::OkStatus();
}

}  // namespace monoquant::cli
