#include "cli/plan_command.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/human.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/parallel.h"
#include "cli/run_job.h"
#include "cli/run_report.h"
#include "cli/table.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

std::string Outcome(const CheckpointIndex& index, const TensorPlan& plan) {
  switch (plan.action) {
    case Action::kQuantize:
      return SchemeToString(plan.scheme);
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

}  // namespace

absl::Status RunPlan(const PlanArgs& args, Streams& streams) {
  const TransformArgs& transform = args.transform;
  MQ_RETURN_IF_ERROR(CheckInputGiven(transform.input));
  MQ_ASSIGN_OR_RETURN(const Recipe recipe, BuildRecipe(args.recipe));
  MQ_ASSIGN_OR_RETURN(const OutputTarget output,
                      ChooseOutput(transform.output, transform.input.path,
                                   NumberFormatName(recipe.defaults.format)));
  MQ_ASSIGN_OR_RETURN(const Input file, OpenInput(transform.input));
  MQ_ASSIGN_OR_RETURN(const Input input, Dequantized(file));
  const CheckpointIndex& index = input.reader->index();
  MQ_ASSIGN_OR_RETURN(const Plan plan, MakePlan(index, recipe));
  const absl::StatusOr<FileLayout> layout =
      output.row->exporter->Layout(plan.manifest);
  if (!layout.ok()) return Annotate(file.path, layout.status());
  if (transform.report.json) {
    streams.WriteDocument(PlanToJson(index, plan));
    return absl::OkStatus();
  }
  if (transform.report.quiet) return absl::OkStatus();

  const int threads = ResolveThreads(transform.run.threads);
  const uint64_t chunk = transform.run.chunk_bytes != 0
                             ? transform.run.chunk_bytes
                             : ChooseChunkBytes(plan, threads);
  *streams.out << Printable(file.path) << "  "
               << IndexToLine(file.reader->index(), file.file_bytes) << "\n\n"
               << PlanTable(index, plan) << '\n'
               << PlanToLine(plan) << '\n'
               << HumanBytes(file.file_bytes) << " become "
               << HumanBytes(layout->file_size) << " as "
               << output.row->exporter->name() << ", "
               << HumanRatio(file.file_bytes, layout->file_size)
               << "; memory at most "
               << HumanBytes(PeakMemory(plan, threads, chunk))
               << " besides the index, with "
               << Plural(static_cast<uint64_t>(threads), "thread") << '\n';
  return absl::OkStatus();
}

}  // namespace monoquant::cli
