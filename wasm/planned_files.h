// The files of a planned output, each of which goes to a sink of its own.

#ifndef MONOQUANT_WASM_PLANNED_FILES_H_
#define MONOQUANT_WASM_PLANNED_FILES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "exporters/output_files.h"
#include "ir/byte_source.h"

namespace monoquant {

struct PlannedFile {
  std::string name;  // bare name
  uint64_t bytes = 0;
  // What it holds, byte for byte; null for a file with tensors.
  std::shared_ptr<ByteSource> content;
  // Whether that is a file of the input.
  bool copied = false;
};

// In the order in which they are to be put in place: the files of `plan` with
// tensors, as they are there, then the others. Last are those by which programs
// take a directory for a model: an index after its shards, then config.json.
//
// `input` has the files that are copied. NotFound if it lacks one.
absl::StatusOr<std::vector<PlannedFile>> ListFiles(
    const OutputPlan& plan, const CheckpointFiles& input);

}  // namespace monoquant

#endif  // MONOQUANT_WASM_PLANNED_FILES_H_
