// Opening what the user named.

#ifndef MONOQUANT_CLI_INPUT_FILE_H_
#define MONOQUANT_CLI_INPUT_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/args.h"
#include "core/dequantizing_reader.h"
#include "exporters/model_files.h"
#include "ir/file_stamp.h"

namespace monoquant::cli {

// Also holds the local files that a checkpoint consists of.
struct Input : ModelFiles {
  // The files that belong to it, as paths: those that its tensors lie in, and
  // every file of a directory. No output may replace them.
  std::vector<std::string> files;
  // What they were when the checkpoint was opened.
  FileStamps stamps;
  // The sizes of those that its tensors lie in, together.
  uint64_t file_bytes = 0;
};

// InvalidArgument if no path was given.
absl::Status CheckInputGiven(const InputArgs& args);

// Opens a checkpoint of any container; reads the index only.
absl::StatusOr<Input> OpenInput(const InputArgs& args);

// `input` seen as floats (core/dequantizing_reader.h); its files stay the same.
absl::StatusOr<Input> Dequantized(const Input& input,
                                  const DequantizeOptions& options = {});

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_INPUT_FILE_H_
