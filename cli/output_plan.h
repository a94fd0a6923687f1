// The files that a run will write, as paths of the user's.

#ifndef MONOQUANT_CLI_OUTPUT_PLAN_H_
#define MONOQUANT_CLI_OUTPUT_PLAN_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "exporters/output_files.h"
#include "ir/json.h"

namespace monoquant::cli {

// What the output of a run is spread over. `plan` was made from the index of
// `input`, which is `file`, the checkpoint as it is, or its floats, or its
// codes in another storage.
//
// A directory is that of PlanDirectory (exporters/output_files.h), with its
// errors; a file has the name of the target, and the errors of
// Exporter::Layout.
absl::StatusOr<OutputPlan> PlanOutput(const Input& file, const Input& input,
                                      const OutputTarget& target,
                                      const Plan& plan,
                                      const Exporter& exporter,
                                      uint64_t max_shard_bytes);

// AlreadyExists if a file would take the place of one of the input's, or of
// another without `force`.
absl::Status CheckOutputFiles(const OutputPlan& plan,
                              const OutputTarget& target, const Input& input,
                              bool force);

// "files", "index" and "side_files" of the documents.
void AppendFilesJson(const OutputPlan& plan, Json& json);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_OUTPUT_PLAN_H_
