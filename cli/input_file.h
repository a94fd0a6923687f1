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
#include "cli/side_files.h"
#include "core/dequantizing_reader.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/file_stamp.h"

namespace monoquant::cli {

struct Input {
  std::string path;
  CheckpointFiles checkpoint_files;  // what `reader` was opened from
  std::shared_ptr<const CheckpointReader> reader;
  // Of a model directory: the tensors as they lie in its files, before anything
  // that `reader` decodes. Its index has the names of that of `reader` and
  // more.
  std::shared_ptr<const CheckpointReader> stored;
  // Where the files lie, as a path; empty for the working directory.
  std::string directory;
  // True for a model directory: `path` is a directory, or a file in one that
  // only says which others hold the tensors.
  bool is_directory = false;
  // Bare names of the files that tensors lie in, sorted.
  std::vector<std::string> weight_files;
  // Of a model directory; otherwise empty.
  SideFiles side_files;
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

// True for a distributed checkpoint: its tensors lie in pieces in the files of
// several processes, which are no shards.
bool IsDistributed(const CheckpointReader& reader);

// `input` seen as floats (core/dequantizing_reader.h); its files stay the same.
absl::StatusOr<Input> Dequantized(const Input& input,
                                  const DequantizeOptions& options = {});

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_INPUT_FILE_H_
