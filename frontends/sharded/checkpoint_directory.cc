#include "frontends/sharded/checkpoint_directory.h"

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/name_list.h"
#include "ir/errors.h"

namespace monoquant {
namespace {

constexpr absl::string_view kIndex = ".index.json";

constexpr absl::string_view kTorchSuffixes[] = {".bin", ".ckpt", ".pt", ".pth"};

// How the names begin that trainers give to what is no model.
constexpr absl::string_view kTrainingState[] = {
    "optimizer", "random_states", "rng_state",
    "scaler",    "scheduler",     "training_args",
};

// How the names begin of files that hold a part of every tensor each.
constexpr absl::string_view kModelParallel[] = {"consolidated.", "mp_rank_"};

std::vector<std::string> NamesWith(const CheckpointFiles& files,
                                   absl::string_view suffix) {
  std::vector<std::string> names;
  for (const std::string& name : files.names) {
    if (absl::EndsWith(name, suffix)) names.push_back(name);
  }
  return names;
}

// Whether a name is that of an index of shards that end in `suffix` (any, if it
// is empty): "model.safetensors.index.json". Variants of a model, such as the
// one in half precision, may have a word more:
// "model.safetensors.index.fp16.json".
bool NamesIndex(absl::string_view name, absl::string_view suffix,
                bool variant) {
  if (variant) {
    if (!absl::ConsumeSuffix(&name, ".json")) return false;
    const size_t dot = name.rfind('.');
    return dot != name.npos &&
           absl::EndsWith(name.substr(0, dot), absl::StrCat(suffix, ".index"));
  }
  return absl::EndsWith(name, absl::StrCat(suffix, kIndex));
}

// The indexes of shards that end in `suffix`; variants only where there is no
// other.
std::vector<std::string> IndexesOf(const CheckpointFiles& files,
                                   absl::string_view suffix) {
  std::vector<std::string> names;
  for (const bool variant : {false, true}) {
    for (const std::string& name : files.names) {
      if (NamesIndex(name, suffix, variant)) names.push_back(name);
    }
    if (!names.empty()) break;
  }
  return names;
}

std::vector<std::string> TorchFiles(const CheckpointFiles& files) {
  std::vector<std::string> names;
  for (const std::string& name : files.names) {
    const auto ends = [&](absl::string_view suffix) {
      return absl::EndsWith(name, suffix);
    };
    const auto begins = [&](absl::string_view prefix) {
      return absl::StartsWith(name, prefix);
    };
    if (std::any_of(std::begin(kTorchSuffixes), std::end(kTorchSuffixes),
                    ends) &&
        std::none_of(std::begin(kTrainingState), std::end(kTrainingState),
                     begins)) {
      names.push_back(name);
    }
  }
  return names;
}

std::string Listed(const std::vector<std::string>& names) {
  NameList list;
  for (const std::string& name : names) list.Add(name);
  return list.ToString();
}

absl::Status SeveralIndexes(const CheckpointFiles& files,
                            const std::vector<std::string>& indexes) {
  return UnimplementedError(
      files.path, ": this directory has several indexes: ", Listed(indexes),
      "; name one of them");
}

absl::Status SeveralTorchFiles(const CheckpointFiles& files,
                               const std::vector<std::string>& names) {
  const bool is_parallel =
      std::all_of(names.begin(), names.end(), [](const std::string& name) {
        return std::any_of(std::begin(kModelParallel), std::end(kModelParallel),
                           [&](absl::string_view prefix) {
                             return absl::StartsWith(name, prefix);
                           });
      });
  if (is_parallel) {
    return UnimplementedError(
        files.path,
        ": model-parallel shards, of which each holds a part of "
        "every tensor, are not merged: ",
        Listed(names), "; merge them with the program that wrote them");
  }
  return UnimplementedError(
      files.path,
      ": this directory has several checkpoint files but no index (*", kIndex,
      "): ", Listed(names), "; name one of them, or download the index too");
}

}  // namespace

bool IsIndexName(absl::string_view name) {
  return NamesIndex(name, "", /*variant=*/false) ||
         NamesIndex(name, "", /*variant=*/true);
}

bool HasCheckpoint(const CheckpointFiles& files) {
  return !NamesWith(files, ".safetensors").empty() ||
         !IndexesOf(files, "").empty() || !TorchFiles(files).empty();
}

absl::StatusOr<std::string> FindCheckpoint(const CheckpointFiles& files) {
  std::vector<std::string> indexes = IndexesOf(files, ".safetensors");
  if (indexes.size() == 1) return indexes[0];
  if (!indexes.empty()) return SeveralIndexes(files, indexes);
  const std::vector<std::string> safetensors = NamesWith(files, ".safetensors");
  if (safetensors.size() == 1) return safetensors[0];
  if (!safetensors.empty()) {
    return UnimplementedError(
        files.path,
        ": this directory has several safetensors files but no index (",
        "*.safetensors.index.json): ", Listed(safetensors),
        "; name one of them, or download the index too");
  }
  // Other programs' weights have indexes as well.
  indexes = IndexesOf(files, ".bin");
  if (indexes.empty()) indexes = IndexesOf(files, "");
  if (indexes.size() == 1) return indexes[0];
  if (!indexes.empty()) return SeveralIndexes(files, indexes);
  const std::vector<std::string> torch = TorchFiles(files);
  if (torch.size() == 1) return torch[0];
  return SeveralTorchFiles(files, torch);
}

}  // namespace monoquant
