#include "cli/input_file.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

// Bare names of the files that tensors lie in, as far as these are there as
// they are (not compressed, not strided).
std::set<std::string> LocatedFiles(const CheckpointReader& reader) {
  std::set<std::string> names;
  for (size_t i = 0; i < reader.index().tensors.size(); ++i) {
    if (const auto extent = reader.Locate(i)) names.insert(extent->file);
  }
  return names;
}

// True if what the user named holds no tensors itself: a directory, or a file
// of one that says which others do. A .mqir file may lie beside its tensors
// too, but is a checkpoint of one file all the same.
bool IsModelDirectory(const Input& input) {
  return input.checkpoint_files.is_directory || IsDistributed(*input.reader) ||
         absl::EndsWith(input.reader->index().container, "-sharded");
}

// Whether everything lies in a file as it is.
bool IsLocated(const CheckpointReader& reader) {
  for (size_t i = 0; i < reader.index().tensors.size(); ++i) {
    if (reader.index().tensors[i].byte_size > 0 && !reader.Locate(i)) {
      return false;
    }
  }
  return true;
}

// Opens a directory's tensors as they are stored, where that is something else.
// What is computed from several tensors, weights with scales for instance, lies
// in no file.
std::shared_ptr<const CheckpointReader> OpenStored(const Input& input,
                                                   OpenOptions options) {
  if (!input.is_directory || options.as_stored ||
      IsDistributed(*input.reader) || IsLocated(*input.reader)) {
    return input.reader;
  }
  options.as_stored = true;
  absl::StatusOr<std::unique_ptr<CheckpointReader>> stored =
      OpenCheckpoint(input.checkpoint_files, options);
  if (!stored.ok()) return input.reader;
  return *std::move(stored);
}

// Bare names of the files that hold tensors.
std::set<std::string> FindWeightFiles(const Input& input) {
  std::set<std::string> names;
  if (!IsDistributed(*input.reader)) names = LocatedFiles(*input.stored);
  if (!names.empty() || !input.is_directory) return names;
  // In pieces, or none of them as it is: their names have to tell.
  for (const std::string& name : input.checkpoint_files.names) {
    if (IsNameOfWeights(name)) names.insert(name);
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
  options.allow_opaque = args.allow_opaque;
  options.as_stored = args.as_stored;
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
  MQ_ASSIGN_OR_RETURN(input.reader, OpenCheckpoint(files, options));
  input.directory = directory.string();
  input.is_directory = IsModelDirectory(input);
  input.stored = OpenStored(input, options);
  std::set<std::string> names = FindWeightFiles(input);
  input.weight_files.assign(names.begin(), names.end());
  if (!files.main.empty()) names.insert(files.main);
  for (const std::string& name : names) {
    MQ_ASSIGN_OR_RETURN(const auto source, files.open(name));
    input.file_bytes += source->size();
  }
  if (input.is_directory) {
    input.side_files = FindSideFiles(input.directory, files.names, names);
    names.insert(files.names.begin(), files.names.end());
  }
  for (const std::string& name : names) {
    input.files.push_back((directory / name).string());
    input.stamps.Add(input.files.back());
  }
  return input;
}

bool IsDistributed(const CheckpointReader& reader) {
  return absl::StartsWith(reader.index().container, "dcp");
}

absl::StatusOr<Input> Dequantized(const Input& input,
                                  const DequantizeOptions& options) {
  Input result = input;
  MQ_ASSIGN_OR_RETURN(result.reader,
                      MakeDequantizingReader(input.reader, options));
  return result;
}

}  // namespace monoquant::cli
