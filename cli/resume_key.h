// When two runs write the same bytes to the same places.

#ifndef MONOQUANT_CLI_RESUME_KEY_H_
#define MONOQUANT_CLI_RESUME_KEY_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/input_file.h"
#include "cli/output_plan.h"
#include "core/plan.h"

namespace monoquant::cli {

// Everything that the payload of an output, and what is kept of a run to
// report, follow from.
struct ResumeKeyInput {
  absl::string_view command;       // "quantize"
  const Input* file;               // the checkpoint as it is
  const CheckpointReader* reader;  // what the tensors are read from
  const Plan* plan;                // made from the index of `reader`
  const OutputPlan* output_plan;   // where they go
  uint64_t chunk_bytes = 0;        // how they are cut
  bool measure_errors = true;      // JobOptions
};

// A SHA-256, in hexadecimal, over that, the program and the state of the files
// that are read (FileStamps): runs with the same key, and no others, can go on
// from each other. Empty where a run cannot be resumed: payload that stays in
// other files cannot be checked.
std::string ResumeKey(const ResumeKeyInput& input);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_RESUME_KEY_H_
