// The files that an output consists of: their names, sizes and contents,
// settled before anything is created.

#ifndef MONOQUANT_EXPORTERS_OUTPUT_FILES_H_
#define MONOQUANT_EXPORTERS_OUTPUT_FILES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "exporters/model_files.h"
#include "exporters/shards.h"
#include "ir/checkpoint.h"

namespace monoquant {

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

// Adds a file with all tensors of `manifest` to `files`. Errors are those of
// Exporter::Layout, with the input's name.
absl::Status AddWeightFile(const ModelFiles& input, const Exporter& exporter,
                           std::string name, const Manifest& manifest,
                           OutputPlan* output);

// An output that is a directory. `plan` was made from the index of `reader`,
// which is that of `input`, or its floats.
//
// There is one file for each of the input's that holds tensors, under the same
// name where the format allows that, or as many as `max_shard_bytes` asks for
// if that is not 0.
//
// Errors are those of Exporter::Layout and ShardBySize, with the input's name;
// DataLoss if something is to be added to a config.json that is no JSON object.
absl::StatusOr<OutputPlan> PlanDirectory(const ModelFiles& input,
                                         const CheckpointReader& reader,
                                         const ExporterRow& row,
                                         const Plan& plan,
                                         const Exporter& exporter,
                                         uint64_t max_shard_bytes);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_OUTPUT_FILES_H_
