// What quantize, dequantize and convert tell the user after a run.

#ifndef MONOQUANT_CLI_RUN_REPORT_H_
#define MONOQUANT_CLI_RUN_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/args.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "cli/output_plan.h"
#include "cli/streams.h"
#include "core/job.h"
#include "core/plan.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant::cli {

struct RunResult {
  // Job::Results: one for each quantized tensor, in plan order.
  std::vector<TensorResult> tensors;
  double seconds = 0;
  // For the notes; empty where there is nothing to say.
  std::string taken_over;  // what of an interrupted run was gone on with
  std::string verified;    // what --verify found
};

// What a report is made from. Nothing is owned but the notes.
struct RunReport {
  absl::string_view command;  // "quantize"
  const Input* file;          // the checkpoint as it is
  const Input* input;         // as it was read: the file, or what it became
  const OutputTarget* output;
  const OutputPlan* output_plan;
  const Plan* plan;  // made from the index of `input`
  const RunResult* result;
  std::vector<std::string> notes;
};

// A line each: read, decode, plan, for, wrote, carried, quality, nonfinite,
// load, note; those that apply.
std::string ReportToText(const RunReport& report);

// The document of docs/schemas/result.json.
Json ReportToJson(const RunReport& report);

// One of the two, or with --quiet the document at most.
void PrintReport(const RunReport& report, const ReportArgs& args,
                 Streams& streams);

// "7 quantized to int8 axis 0 symmetric, 37 copied, 1 tied"
std::string PlanToLine(const Plan& plan);

// "vLLM: compressed-tensors, 3 weights not quantized for its sake", of an
// output that has a program.
std::string ProgramToLine(const OutputTarget& output, const Plan& plan);

// "for" of the documents, of an output that has a program.
void AppendProgramJson(const OutputTarget& output, const Plan& plan,
                       Json& json);

// "torch, 44 tensors, 1.9 MiB", and the root where there is one.
std::string IndexToLine(const CheckpointIndex& index, uint64_t file_bytes);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RUN_REPORT_H_
