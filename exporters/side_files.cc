#include "exporters/side_files.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace monoquant {
namespace {

constexpr size_t kFew = 5;

constexpr absl::string_view kWeightSuffixes[] = {
    ".safetensors", ".bin",    ".pt",      ".pth",    ".ckpt",
    ".mqir",        ".distcp", ".gguf",    ".ggml",   ".onnx",
    ".onnx_data",   ".h5",     ".msgpack", ".tflite",
};

bool IsHidden(absl::string_view name) { return absl::StartsWith(name, "."); }

// Of shards; outputs have their own. Variants are called
// "model.safetensors.index.fp16.json".
bool IsIndex(absl::string_view name) {
  return absl::StrContains(name, ".index.") && absl::EndsWith(name, ".json");
}

}  // namespace

bool IsNameOfWeights(absl::string_view name) {
  return std::any_of(std::begin(kWeightSuffixes), std::end(kWeightSuffixes),
                     [name](absl::string_view suffix) {
                       return absl::EndsWithIgnoreCase(name, suffix);
                     });
}

SideFiles FindSideFiles(const std::vector<std::string>& names,
                        const std::set<std::string>& in_use) {
  SideFiles result;
  for (const std::string& name : names) {
    if (IsHidden(name) || IsIndex(name) || in_use.contains(name)) continue;
    (IsNameOfWeights(name) ? result.other_weights : result.carried)
        .push_back(name);
  }
  return result;
}

std::vector<std::string> NotesOnLeftOut(const SideFiles& side_files) {
  std::vector<std::string> notes;
  if (!side_files.other_weights.empty()) {
    notes.push_back(absl::StrCat("other weights are not carried: ",
                                 FewNames(side_files.other_weights)));
  }
  if (!side_files.directories.empty()) {
    notes.push_back(absl::StrCat("directories are not carried: ",
                                 FewNames(side_files.directories)));
  }
  return notes;
}

std::string FewNames(const std::vector<std::string>& names) {
  std::string text;
  const size_t shown = names.size() <= kFew + 1 ? names.size() : kFew;
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", names[i]);
  }
  if (shown < names.size()) {
    absl::StrAppend(&text, " and ", names.size() - shown, " more");
  }
  return text;
}

}  // namespace monoquant
