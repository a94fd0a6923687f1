// A checkpoint with the files around it: what an output that is a directory is
// planned from.

#ifndef MONOQUANT_EXPORTERS_MODEL_FILES_H_
#define MONOQUANT_EXPORTERS_MODEL_FILES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "exporters/side_files.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

struct ModelFiles {
  std::string path;                  // what the user named
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
};

// Opens a checkpoint once more, with its tensors as they are stored.
using OpenAsStored =
    std::function<absl::StatusOr<std::unique_ptr<CheckpointReader>>()>;

// Finds them for `reader`, which was opened from `files`. `open_as_stored` is
// called where its tensors may be decoded from others; null if `reader` shows
// them as they are stored. Reads no payload. Directories are not looked for.
ModelFiles FindModelFiles(CheckpointFiles files,
                          std::shared_ptr<const CheckpointReader> reader,
                          const OpenAsStored& open_as_stored);

// True for a distributed checkpoint: its tensors lie in pieces in the files of
// several processes, which are no shards.
bool IsDistributed(const CheckpointReader& reader);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_MODEL_FILES_H_
