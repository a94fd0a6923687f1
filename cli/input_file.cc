#include "cli/input_file.h"

#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "cli/subdirectories.h"
#include "frontends/frontend.h"
#include "ir/checkpoint.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {

absl::Status CheckInputGiven(const InputArgs& args) {
  if (!args.path.empty()) return absl::OkStatus();
  return InvalidArgumentError(
      "no checkpoint given; name a file or a directory");
}

absl::StatusOr<Input> OpenInput(const InputArgs& args) {
  MQ_RETURN_IF_ERROR(CheckInputGiven(args));
  MQ_ASSIGN_OR_RETURN(CheckpointFiles files, OpenLocalCheckpoint(args.path));
  OpenOptions options;
  options.root = args.root;
  options.allow_opaque = args.allow_opaque;
  options.as_stored = args.as_stored;
  Input input;
  const std::filesystem::path path(args.path);
  const std::filesystem::path directory =
      files.is_directory ? path : path.parent_path();
  // Before they are read; those that an index names, as soon as it is.
  if (files.is_directory) {
    for (const std::string& name : files.names) {
      input.stamps.Add((directory / name).string());
    }
  } else {
    input.stamps.Add((directory / files.main).string());
  }
  MQ_ASSIGN_OR_RETURN(std::shared_ptr<const CheckpointReader> reader,
                      OpenCheckpoint(files, options));
  OpenAsStored open_as_stored;
  if (!options.as_stored) {
    options.as_stored = true;
    open_as_stored = [files, options] {
      return OpenCheckpoint(files, options);
    };
  }
  ModelFiles& model = input;
  model = FindModelFiles(std::move(files), std::move(reader), open_as_stored);
  std::set<std::string> names(input.weight_files.begin(),
                              input.weight_files.end());
  const CheckpointFiles& opened = input.checkpoint_files;
  if (!opened.main.empty()) names.insert(opened.main);
  for (const std::string& name : names) {
    MQ_ASSIGN_OR_RETURN(const auto source, opened.open(name));
    input.file_bytes += source->size();
  }
  if (input.is_directory) {
    input.side_files.directories = Subdirectories(input.directory);
    names.insert(opened.names.begin(), opened.names.end());
  }
  for (const std::string& name : names) {
    input.files.push_back((directory / name).string());
    input.stamps.Add(input.files.back());
  }
  return input;
}

absl::StatusOr<Input> Dequantized(const Input& input,
                                  const DequantizeOptions& options) {
  Input result = input;
  MQ_ASSIGN_OR_RETURN(result.reader,
                      MakeDequantizingReader(input.reader, options));
  return result;
}

}  // namespace monoquant::cli
