#include "exporters/output_naming.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"

namespace monoquant {
namespace {

bool IsExtensionOf(const ExporterRow& row, absl::string_view extension) {
  return std::any_of(row.extensions.begin(), row.extensions.end(),
                     [extension](absl::string_view each) {
                       return absl::EqualsIgnoreCase(each, extension);
                     });
}

bool IsKnownExtension(absl::string_view extension) {
  return std::any_of(AllExporters().begin(), AllExporters().end(),
                     [extension](const ExporterRow& row) {
                       return IsExtensionOf(row, extension);
                     });
}

bool IsStandardStem(absl::string_view stem) {
  return std::any_of(
      AllExporters().begin(), AllExporters().end(),
      [stem](const ExporterRow& row) { return row.naming.stem == stem; });
}

// "model" from "model-00001-of-00003"; anything else as it is.
std::string WithoutShardNumber(const std::string& stem) {
  constexpr absl::string_view kPattern = "-ddddd-of-ddddd";
  if (stem.size() <= kPattern.size()) return stem;
  const size_t length = stem.size() - kPattern.size();
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const char c = stem[length + i];
    const bool is_digit = c >= '0' && c <= '9';
    if (kPattern[i] == 'd' ? !is_digit : c != kPattern[i]) return stem;
  }
  return stem.substr(0, length);
}

}  // namespace

OutputNaming::OutputNaming(const ModelFiles& input, const ExporterRow& row)
    : input_(input) {
  const FileNaming& naming = row.naming;
  Name name = Split(input.path);
  if (input.is_directory) {
    name = Name();
    if (!input.weight_files.empty() && !IsDistributed(*input.reader)) {
      name = Split(input.weight_files.front());  // stands for all
    }
    name.stem = WithoutShardNumber(name.stem);
    // Other names than those of a format tell nothing.
    if (!IsKnownExtension(name.extension)) name = Name();
  }
  same_format_ = IsExtensionOf(row, name.extension);
  one_.extension = name.extension;
  if (!same_format_) {
    one_.extension = std::string(input.is_directory ? naming.extension
                                                    : row.extensions.front());
  }
  // Loaders of a directory look for the name that goes with the format.
  several_.extension = std::string(naming.extension);
  several_.stem = name.stem.empty() || IsStandardStem(name.stem)
                      ? std::string(naming.stem)
                      : name.stem;
  one_.stem = !same_format_ && input.is_directory ? several_.stem : name.stem;
}

std::vector<std::string> OutputNaming::Names(const std::vector<Shard>& shards,
                                             bool as_input) const {
  std::vector<std::string> names;
  const size_t count = shards.size();
  const Name& name = count == 1 ? one_ : several_;
  const bool keep =
      as_input && count > 1 && same_format_ &&
      count == input_.weight_files.size() &&
      std::all_of(input_.weight_files.begin(), input_.weight_files.end(),
                  [this](const std::string& file) {
                    return Split(file).extension == several_.extension;
                  });
  for (size_t i = 0; i < count; ++i) {
    names.push_back(keep ? input_.weight_files[shards[i].group]
                         : ShardFileName(name.stem, name.extension, i, count));
  }
  return names;
}

std::string OutputNaming::IndexName() const {
  // An index that was named is the one that its directory is read by.
  const std::string& main = input_.checkpoint_files.main;
  if (absl::EndsWith(main, ShardIndexFileName("", several_.extension))) {
    return main;
  }
  return ShardIndexFileName(several_.stem, several_.extension);
}

// Of the last component. A name that begins with its only dot has no extension.
OutputNaming::Name OutputNaming::Split(absl::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash != absl::string_view::npos) path.remove_prefix(slash + 1);
  const size_t dot = path.rfind('.');
  if (dot == absl::string_view::npos || dot == 0 || path == "..") {
    return {std::string(path), ""};
  }
  return {std::string(path.substr(0, dot)), std::string(path.substr(dot + 1))};
}

}  // namespace monoquant
