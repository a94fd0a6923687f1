#include "cli/input_file.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>

#include "frontends/frontend.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// Bare names of the files that the tensors lie in. A tensor without an extent
// (compressed, strided) lies in the main file.
std::set<std::string> FilesInUse(const CheckpointFiles& files,
                                 const CheckpointReader& reader) {
  std::set<std::string> names;
  if (!files.main.empty()) names.insert(files.main);
  for (size_t i = 0; i < reader.index().tensors.size(); ++i) {
    if (const auto extent = reader.Locate(i)) names.insert(extent->file);
  }
  return names;
}

}  // namespace

absl::Status CheckInputGiven(const InputArgs& args) {
  if (!args.path.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "no checkpoint given; name a file or a directory");
}

absl::StatusOr<Input> OpenInput(const InputArgs& args) {
  MQ_RETURN_IF_ERROR(CheckInputGiven(args));
  Input input;
  input.path = args.path;
  MQ_ASSIGN_OR_RETURN(input.checkpoint_files, OpenLocalCheckpoint(args.path));
  const CheckpointFiles& files = input.checkpoint_files;
  OpenOptions options;
  options.root = args.root;
  MQ_ASSIGN_OR_RETURN(input.reader, OpenCheckpoint(files, options));

  const std::filesystem::path path(args.path);
  const std::filesystem::path directory =
      files.is_directory ? path : path.parent_path();
  std::set<std::string> names = FilesInUse(files, *input.reader);
  for (const std::string& name : names) {
    MQ_ASSIGN_OR_RETURN(const auto source, files.open(name));
    input.file_bytes += source->size();
  }
  if (files.is_directory) names.insert(files.names.begin(), files.names.end());
  for (const std::string& name : names) {
    input.files.push_back((directory / name).string());
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
