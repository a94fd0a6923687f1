// The open output of a run: a file, or a directory of files.

#ifndef MONOQUANT_CLI_RUN_OUTPUT_H_
#define MONOQUANT_CLI_RUN_OUTPUT_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/finished_parts.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/output_plan.h"
#include "cli/progress.h"
#include "core/finished_piece.h"
#include "core/job.h"
#include "exporters/exporter.h"
#include "exporters/output_writer.h"
#include "exporters/sharded_writer.h"
#include "ir/byte_sink.h"
#include "ir/byte_source.h"
#include "ir/local_directory.h"
#include "ir/local_files.h"
#include "ir/manifest.h"
#include "ir/unfinished_output.h"

namespace monoquant::cli {

struct RunOutputOptions {
  bool force = false;
  // Not empty: what is finished is kept if the run is interrupted, and what
  // another run with this key (cli/resume_key.h) has kept is gone on with.
  std::string resume_key;
};

// Shows nothing before Finish. Destroyed without it, it leaves nothing, or what
// another run can go on from.
class RunOutput {
 public:
  // Creates the files and reserves their space. `exporter`, `manifest`, that of
  // the whole run, and `plan` must outlive the result. AlreadyExists, among
  // others, if another run is writing the same output.
  static absl::StatusOr<std::unique_ptr<RunOutput>> Create(
      const OutputTarget& target, const OutputPlan& plan,
      const Exporter& exporter, const Manifest& manifest,
      const RunOutputOptions& options);

  // What the job need not do again: to be called before it begins. Reads all
  // that is there with `threads` workers.
  absl::StatusOr<std::vector<FinishedPiece>> TakeOver(
      int threads, const std::atomic<bool>& cancel, Progress& progress);

  // For JobOptions::on_finished; may be empty.
  std::function<absl::Status(const FinishedPiece&)> on_finished();

  // Writes what is there before the job begins: copies of the side files of
  // `input`, byte for byte, and the index. Cancelled once `cancel` is set.
  absl::Status WriteSideFiles(const Input& input,
                              const std::atomic<bool>& cancel);

  // Where the job's bytes go. The output must outlive it.
  Emit emit();

  // Puts everything in place; to be called once, after all else.
  absl::Status Finish();

  // To be called if the run fails, with its error, and nothing afterwards.
  // Decides whether what is finished is kept: it is if the same run may end
  // better another time. Gives the error to report: that one, if nothing was
  // kept; otherwise it also says how to go on, and is DeadlineExceeded (exit
  // code 7) unless the user has interrupted the run.
  absl::Status Stop(const absl::Status& error);

 private:
  RunOutput(const OutputTarget& target, const OutputPlan& plan,
            const Manifest& manifest)
      : target_(target), plan_(plan), manifest_(manifest) {}

  absl::Status Claim(const std::string& key, LocalSinkOptions* options);
  absl::Status OpenFile(const Exporter& exporter,
                        const LocalSinkOptions& options);
  absl::Status OpenDirectory(const Exporter& exporter,
                             const LocalSinkOptions& options);
  absl::Status Adopt(const FinishedRange& range);
  PayloadPlace PlaceOf(size_t output) const;

  absl::Status WriteSideFile(const std::string& name, const ByteSource& source,
                             const std::atomic<bool>& cancel);

  const OutputTarget target_;
  const OutputPlan& plan_;
  const Manifest& manifest_;
  // Null where nothing is kept; owns the output until the sinks are closed.
  std::unique_ptr<UnfinishedOutput> unfinished_;
  // Null where the output is one file; outlives its sinks.
  std::unique_ptr<LocalDirectory> directory_;
  std::vector<std::unique_ptr<ByteSink>> sinks_;  // of plan_.files
  // One of the two.
  std::unique_ptr<OutputWriter> writer_;
  std::unique_ptr<ShardedWriter> sharded_writer_;
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RUN_OUTPUT_H_
