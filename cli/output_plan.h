// The files that a run will write: their names, sizes and contents, settled
// before anything is created.

#ifndef MONOQUANT_CLI_OUTPUT_PLAN_H_
#define MONOQUANT_CLI_OUTPUT_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/input_file.h"
#include "cli/output_file.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "exporters/shards.h"
#include "ir/json.h"

namespace monoquant::cli {

// A file with tensors.
struct WeightFile {
  std::string name;  // bare name
  FileLayout layout;
  size_t tensors = 0;  // in the file, ties included
};

// A file with text that is written as it is.
struct TextFile {
  std::string name;
  std::string text;
};

struct OutputPlan {
  // One, or the shards.
  std::vector<WeightFile> files;
  // In a directory: what each of `files` holds. Empty where the output is one
  // file, which holds the plan's manifest.
  std::vector<Shard> shards;
  // The index of the shards; empty where there is one file.
  std::string index_name;
  std::string index_text;
  // Files of the input's directory that are copied.
  std::vector<std::string> side_files;
  // Files that are made anew: a model's config.json.
  std::vector<TextFile> made_files;
  // What is not carried over.
  std::vector<std::string> notes;

  // The size of `files` together.
  uint64_t weight_bytes() const;
};

// What the output of a run is spread over. `plan` was made from the index of
// `input`, which is `file`, the checkpoint as it is, or its floats, or its
// codes in another storage.
//
// In a directory there is one file for each of the input's that holds tensors,
// under the same name where the format allows that, or as many as
// `max_shard_bytes` asks for.
//
// Errors are those of Exporter::Layout and ShardBySize, with the input's name.
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
