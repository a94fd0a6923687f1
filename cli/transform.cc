#include "cli/transform.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/job_size.h"
#include "cli/output_plan.h"
#include "cli/progress.h"
#include "cli/resume_key.h"
#include "cli/run_job.h"
#include "cli/run_output.h"
#include "cli/run_report.h"
#include "cli/timer.h"
#include "cli/verify_output.h"
#include "core/job.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// All that a run works with.
struct Run {
  const Transform& transform;
  const CheckpointReader& reader;
  const Plan& plan;
  const OutputPlan& output_plan;
  const Exporter& exporter;
  const TransformArgs& args;
  Streams& streams;

  // Whether anybody will see the figures.
  bool measure_errors() const { return args.report.json || !args.report.quiet; }
};

// What was there already, for the report.
std::string DescribeTakeOver(const Job& job) {
  if (job.bytes_done() == 0) return "";
  return absl::StrCat("went on with an interrupted run, of which ",
                      job.bytes_done() * 100 / job.bytes_total(),
                      "% was finished");
}

absl::Status FillOutput(const Run& run, const JobSize& size, RunOutput& output,
                        RunResult* result) {
  const std::atomic<bool>& cancel = *run.streams.cancel;
  JobOptions options;
  options.chunk_bytes = size.chunk_bytes;
  options.measure_errors = run.measure_errors();
  options.on_finished = output.on_finished();
  {
    Progress progress(run.args.report.progress, "checking what is finished",
                      run.streams.err);
    MQ_ASSIGN_OR_RETURN(options.finished,
                        output.TakeOver(size.threads, cancel, progress));
  }
  MQ_RETURN_IF_ERROR(output.WriteSideFiles(run.transform.file, cancel));
  MQ_ASSIGN_OR_RETURN(
      const std::unique_ptr<Job> job,
      Job::Create(&run.reader, run.plan, output.emit(), options));
  result->taken_over = DescribeTakeOver(*job);
  {
    Progress progress(run.args.report.progress,
                      std::string(run.transform.label), run.streams.err);
    MQ_RETURN_IF_ERROR(RunJob(*job, size.threads, cancel, progress));
  }
  MQ_ASSIGN_OR_RETURN(result->tensors, job->Results());
  MQ_RETURN_IF_ERROR(run.transform.file.stamps.Check(run.transform.file.files));
  return output.Finish();
}

absl::StatusOr<RunResult> WriteOutput(const Run& run) {
  const Timer timer;
  MQ_ASSIGN_OR_RETURN(const JobSize size,
                      ChooseJobSize(run.plan, run.args.run));
  RunOutputOptions options;
  options.force = run.args.output.force;
  if (run.args.output.resume) {
    options.resume_key = ResumeKey({run.transform.command, &run.transform.file,
                                    &run.reader, &run.plan, &run.output_plan,
                                    size.chunk_bytes, run.measure_errors()});
  }
  RunResult result;
  {
    MQ_ASSIGN_OR_RETURN(
        const std::unique_ptr<RunOutput> output,
        RunOutput::Create(run.transform.output, run.output_plan, run.exporter,
                          run.plan.manifest, options));
    const absl::Status status = FillOutput(run, size, *output, &result);
    if (!status.ok()) return output->Stop(status);
  }
  if (run.args.output.verify != VerifyMode::kNone) {
    MQ_ASSIGN_OR_RETURN(result.verified,
                        VerifyOutput(run.transform.output.path, run.reader,
                                     run.plan, run.args.output.verify, size,
                                     run.args.report.progress, run.streams));
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
                      WriteOutput({transform, *input.reader, plan, output_plan,
                                   exporter, args, streams}));
  const CheckpointIndex& file_index = transform.file.reader->index();
  notes.insert(notes.begin(), file_index.notes.begin(), file_index.notes.end());
  notes.insert(notes.end(), output_plan.notes.begin(), output_plan.notes.end());
  for (const std::string& note : {result.taken_over, result.verified}) {
    if (!note.empty()) notes.push_back(note);
  }
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
