// Opening what the user named.

#ifndef MONOQUANT_CLI_INPUT_FILE_H_
#define MONOQUANT_CLI_INPUT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/args.h"
#include "core/dequantizing_reader.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant::cli {

struct Input {
  std::string path;
  CheckpointFiles checkpoint_files;  // what `reader` was opened from
  std::shared_ptr<const CheckpointReader> reader;
  // The files that belong to it, as paths: those that its tensors lie in, and
  // every file of a directory. No output may replace them.
  std::vector<std::string> files;
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
