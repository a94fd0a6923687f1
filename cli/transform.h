// What quantize, dequantize and convert have in common: from an open checkpoint
// and a plan to finished files and a report.

#ifndef MONOQUANT_CLI_TRANSFORM_H_
#define MONOQUANT_CLI_TRANSFORM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/args.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/streams.h"
#include "core/plan.h"
#include "exporters/exporter.h"

namespace monoquant::cli {

// A transformation whose input is open and whose output path was checked.
struct Transform {
  absl::string_view command;  // "quantize"
  absl::string_view label;    // for the progress: "quantizing"
  Input file;                 // the checkpoint as it is
  OutputTarget output;
};

// Opens the input, then chooses and checks the output: everything that can fail
// before a decision about tensors. `suffix` is for the default output name.
absl::StatusOr<Transform> BeginTransform(absl::string_view command,
                                         absl::string_view label,
                                         absl::string_view suffix,
                                         const TransformArgs& args);

// Executes `plan`, made from the index of `input`, which is the file itself or
// the file seen as floats or in another storage, and prints the report with
// `notes` and those of the input. The side files of a model directory go with
// it. Nothing is under the output's name before all of it is; after an error or
// an interruption nothing is left, or what the same run can go on from
// (RunOutput::Stop).
absl::Status FinishTransform(const Transform& transform, const Input& input,
                             const Plan& plan, const Exporter& exporter,
                             std::vector<std::string> notes,
                             const TransformArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_TRANSFORM_H_
