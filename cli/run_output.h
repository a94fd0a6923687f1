// The open output of a run: a file, or a directory of files.

#ifndef MONOQUANT_CLI_RUN_OUTPUT_H_
#define MONOQUANT_CLI_RUN_OUTPUT_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/output_plan.h"
#include "core/job.h"
#include "exporters/exporter.h"
#include "exporters/output_writer.h"
#include "exporters/sharded_writer.h"
#include "ir/byte_sink.h"
#include "ir/byte_source.h"
#include "ir/local_directory.h"
#include "ir/local_files.h"
#include "ir/manifest.h"

namespace monoquant::cli {

// Shows nothing before Finish. Destroyed without it, it leaves nothing.
class RunOutput {
 public:
  // Creates the files and reserves their space. `exporter`, `manifest`, that of
  // the whole run, and `plan` must outlive the result.
  static absl::StatusOr<std::unique_ptr<RunOutput>> Create(
      const OutputTarget& target, const OutputPlan& plan,
      const Exporter& exporter, const Manifest& manifest, bool force);

  // Writes what is there before the job begins: copies of the side files of
  // `input`, byte for byte, and the index. Cancelled once `cancel` is set.
  absl::Status WriteSideFiles(const Input& input,
                              const std::atomic<bool>& cancel);

  // Where the job's bytes go. The output must outlive it.
  Emit emit();

  // Puts everything in place; to be called once, after all else.
  absl::Status Finish();

 private:
  explicit RunOutput(const OutputPlan& plan) : plan_(plan) {}

  absl::Status OpenFile(const OutputTarget& target, const Exporter& exporter,
                        const Manifest& manifest,
                        const LocalSinkOptions& options);
  absl::Status OpenDirectory(const OutputTarget& target,
                             const Exporter& exporter,
                             const LocalSinkOptions& options);

  absl::Status WriteSideFile(const std::string& name, const ByteSource& source,
                             const std::atomic<bool>& cancel);

  const OutputPlan& plan_;
  // Null where the output is one file; outlives its sinks.
  std::unique_ptr<LocalDirectory> directory_;
  std::vector<std::unique_ptr<ByteSink>> sinks_;  // of plan_.files
  // One of the two.
  std::unique_ptr<OutputWriter> writer_;
  std::unique_ptr<ShardedWriter> sharded_writer_;
};

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RUN_OUTPUT_H_
