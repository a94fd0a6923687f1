#include "cli/transform.h"

#include <memory>
#include <utility>

#include "cli/job_size.h"
#include "cli/output_plan.h"
#include "cli/progress.h"
#include "cli/run_job.h"
#include "cli/run_output.h"
#include "cli/run_report.h"
#include "cli/timer.h"
#include "cli/verify_output.h"
#include "core/job.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

absl::StatusOr<RunResult> WriteOutput(
    const Transform& transform, const CheckpointReader& reader,
    const Plan& plan, const OutputPlan& output_plan, const Exporter& exporter,
    const TransformArgs& args, Streams& streams) {
  const Timer timer;
  MQ_ASSIGN_OR_RETURN(const JobSize size, ChooseJobSize(plan, args.run));
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<RunOutput> output,
                      RunOutput::Create(transform.output, output_plan, exporter,
                                        plan.manifest, args.output.force));
  MQ_RETURN_IF_ERROR(output->WriteSideFiles(transform.file, *streams.cancel));

  JobOptions job_options;
  job_options.chunk_bytes = size.chunk_bytes;
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<Job> job,
                      Job::Create(&reader, plan, output->emit(), job_options));
  {
    Progress progress(args.report.progress, std::string(transform.label),
                      streams.err);
    MQ_RETURN_IF_ERROR(RunJob(*job, size.threads, *streams.cancel, progress));
  }
  RunResult result;
  MQ_ASSIGN_OR_RETURN(result.tensors, job->Results());
  MQ_RETURN_IF_ERROR(transform.file.stamps.Check(transform.file.files));
  MQ_RETURN_IF_ERROR(output->Finish());
  if (args.output.verify != VerifyMode::kNone) {
    MQ_ASSIGN_OR_RETURN(
        result.verified,
        VerifyOutput(transform.output.path, reader, plan, args.output.verify,
                     size, args.report.progress, streams));
  }
  result.seconds = timer.seconds();
  return result;
}

}  // namespace

absl::StatusOr<Transform> BeginTransform(absl::string_view command,
                                         absl::string_view label,
                                         absl::string_view suffix,
                                         const TransformArgs& args) {
  Transform transform;
  transform.command = command;
  transform.label = label;
  MQ_ASSIGN_OR_RETURN(transform.file, OpenInput(args.input));
  MQ_ASSIGN_OR_RETURN(transform.output,
                      ChooseOutput(args.output, transform.file, suffix));
  MQ_RETURN_IF_ERROR(
      CheckOutput(transform.output, transform.file, args.output.force));
  return transform;
}

absl::Status FinishTransform(const Transform& transform, const Input& input,
                             const Plan& plan, const Exporter& exporter,
                             std::vector<std::string> notes,
                             const TransformArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(const OutputPlan output_plan,
                      PlanOutput(transform.file, input, transform.output, plan,
                                 exporter, args.output.max_shard_bytes));
  MQ_RETURN_IF_ERROR(CheckOutputFiles(output_plan, transform.output,
                                      transform.file, args.output.force));
  MQ_ASSIGN_OR_RETURN(const RunResult result,
                      WriteOutput(transform, *input.reader, plan, output_plan,
                                  exporter, args, streams));
  const CheckpointIndex& file_index = transform.file.reader->index();
  notes.insert(notes.begin(), file_index.notes.begin(), file_index.notes.end());
  notes.insert(notes.end(), output_plan.notes.begin(), output_plan.notes.end());
  if (!result.verified.empty()) notes.push_back(result.verified);
  RunReport report;
  report.command = transform.command;
  report.file = &transform.file;
  report.input = &input;
  report.output = &transform.output;
  report.output_plan = &output_plan;
  report.plan = &plan;
  report.result = &result;
  report.notes = std::move(notes);
  PrintReport(report, args.report, streams);
  return absl::OkStatus();
}

}  // namespace monoquant::cli
