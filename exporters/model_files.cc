#include "exporters/model_files.h"

#include <cstddef>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"

namespace monoquant {
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
bool IsModelDirectory(const ModelFiles& model) {
  return model.checkpoint_files.is_directory || IsDistributed(*model.reader) ||
         absl::EndsWith(model.reader->index().container, "-sharded");
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
std::shared_ptr<const CheckpointReader> OpenStored(
    const ModelFiles& model, const OpenAsStored& open_as_stored) {
  if (!model.is_directory || open_as_stored == nullptr ||
      IsDistributed(*model.reader) || IsLocated(*model.reader)) {
    return model.reader;
  }
  absl::StatusOr<std::unique_ptr<CheckpointReader>> stored = open_as_stored();
  if (!stored.ok()) return model.reader;
  return *std::move(stored);
}

// Bare names of the files that hold tensors.
std::set<std::string> FindWeightFiles(const ModelFiles& model) {
  std::set<std::string> names;
  if (!IsDistributed(*model.reader)) names = LocatedFiles(*model.stored);
  if (!names.empty() || !model.is_directory) return names;
  // In pieces, or none of them as it is: their names have to tell.
  for (const std::string& name : model.checkpoint_files.names) {
    if (IsNameOfWeights(name)) names.insert(name);
  }
  return names;
}

// What is before the last slash; empty without one.
std::string ParentOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return "";
  const size_t end = path.find_last_not_of('/', slash);
  return std::string(path.substr(0, end == path.npos ? 1 : end + 1));
}

}  // namespace

ModelFiles FindModelFiles(CheckpointFiles files,
                          std::shared_ptr<const CheckpointReader> reader,
                          const OpenAsStored& open_as_stored) {
  ModelFiles model;
  model.path = files.path;
  model.directory = files.is_directory ? files.path : ParentOf(files.path);
  model.checkpoint_files = std::move(files);
  model.reader = std::move(reader);
  model.is_directory = IsModelDirectory(model);
  model.stored = OpenStored(model, open_as_stored);
  std::set<std::string> names = FindWeightFiles(model);
  model.weight_files.assign(names.begin(), names.end());
  if (!model.is_directory) return model;
  const std::string& main = model.checkpoint_files.main;
  if (!main.empty()) names.insert(main);
  model.side_files = FindSideFiles(model.checkpoint_files.names, names);
  return model;
}

bool IsDistributed(const CheckpointReader& reader) {
  return absl::StartsWith(reader.index().container, "dcp");
}

}  // namespace monoquant
