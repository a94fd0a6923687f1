#include "cli/transform.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "cli/parallel.h"
#include "cli/progress.h"
#include "cli/run_job.h"
#include "cli/run_report.h"
#include "cli/timer.h"
#include "core/job.h"
#include "exporters/output_writer.h"
#include "ir/byte_sink.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

absl::StatusOr<RunResult> WriteOutput(const Transform& transform,
                                      const CheckpointReader& reader,
                                      const Plan& plan,
                                      const Exporter& exporter,
                                      const TransformArgs& args,
                                      Streams& streams) {
  const Timer timer;
  absl::StatusOr<FileLayout> layout = exporter.Layout(plan.manifest);
  if (!layout.ok()) return Annotate(transform.file.path, layout.status());
  RunResult result;
  result.file_bytes = layout->file_size;

  LocalSinkOptions sink_options;
  sink_options.overwrite = args.output.force;
  MQ_ASSIGN_OR_RETURN(
      const std::unique_ptr<ByteSink> sink,
      CreateLocalSink(transform.output.path, layout->file_size, sink_options));
  OutputWriter writer(exporter, plan.manifest, *std::move(layout), *sink);

  const int threads = ResolveThreads(args.run.threads);
  JobOptions job_options;
  job_options.chunk_bytes = args.run.chunk_bytes != 0
                                ? args.run.chunk_bytes
                                : ChooseChunkBytes(plan, threads);
  const auto emit = [&writer](size_t output, uint64_t offset,
                              absl::Span<const uint8_t> bytes) {
    return writer.Write(output, offset, bytes);
  };
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<Job> job,
                      Job::Create(&reader, plan, emit, job_options));
  {
    Progress progress(args.report.progress, std::string(transform.label),
                      streams.err);
    MQ_RETURN_IF_ERROR(RunJob(*job, threads, *streams.cancel, progress));
  }
  MQ_ASSIGN_OR_RETURN(result.tensors, job->Results());
  MQ_RETURN_IF_ERROR(writer.Finish());
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
  MQ_RETURN_IF_ERROR(CheckInputGiven(args.input));
  MQ_ASSIGN_OR_RETURN(transform.output,
                      ChooseOutput(args.output, args.input.path, suffix));
  MQ_RETURN_IF_ERROR(
      CheckOutput(transform.output, args.input.path, args.output.force));
  MQ_ASSIGN_OR_RETURN(transform.file, OpenInput(args.input));
  MQ_RETURN_IF_ERROR(
      CheckNotInput(transform.output.path, transform.file.files));
  return transform;
}

absl::Status FinishTransform(const Transform& transform, const Input& input,
                             const Plan& plan, const Exporter& exporter,
                             std::vector<std::string> notes,
                             const TransformArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(
      const RunResult result,
      WriteOutput(transform, *input.reader, plan, exporter, args, streams));
  const CheckpointIndex& file_index = transform.file.reader->index();
  notes.insert(notes.begin(), file_index.notes.begin(), file_index.notes.end());
  RunReport report;
  report.command = transform.command;
  report.file = &transform.file;
  report.input = &input;
  report.output = &transform.output;
  report.plan = &plan;
  report.result = &result;
  report.notes = std::move(notes);
  PrintReport(report, args.report, streams);
  return absl::OkStatus();
}

}  // namespace monoquant::cli
