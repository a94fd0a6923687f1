#include "frontends/torch/pickled_archive.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "frontends/name_list.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/torch/place_state_dict.h"
#include "frontends/torch/quantized_modules.h"
#include "frontends/torch/state_dict.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

bool IsTorchScript(const TorchArchive& archive) {
  return archive.kind == TorchZipKind::kTorchScript ||
         archive.kind == TorchZipKind::kTorchScriptLite;
}

// Reads the pickle NAME.pkl, whose storages are NAME/0, NAME/1, ...
// `name_prefix` is put before the names of its tensors.
absl::Status ReadPart(const TorchArchive& archive, absl::string_view name,
                      const OpenOptions& options, ModuleNames names,
                      absl::string_view name_prefix, CheckpointIndex* index,
                      std::vector<PlacedTensor>* placed) {
  const std::string member = absl::StrCat(name, ".pkl");
  MQ_ASSIGN_OR_RETURN(std::string pickle,
                      archive.Read(member, PickleLimits().bytes));
  const std::string& file = archive.zip->name();
  MQ_ASSIGN_OR_RETURN(
      StateDict state_dict,
      ReadStateDict(std::move(pickle), file,
                    absl::StrCat("member ", QuotedName(absl::StrCat(
                                                archive.prefix, member))),
                    options));
  if (names == ModuleNames::kFloat && !state_dict.as_stored) {
    NameQuantizedModules(&state_dict);
  }
  if (!name_prefix.empty()) {
    for (NamedTensor& tensor : state_dict.tensors) {
      tensor.name = absl::StrCat(name_prefix, tensor.name);
    }
  }
  const auto find = [&](absl::string_view key) {
    return archive.FindStorage(absl::StrCat(name, "/", key));
  };
  return PlaceStateDict(state_dict, file, find, archive.big_endian, index,
                        placed);
}

void NoteConstants(const TorchArchive& archive, CheckpointIndex* index) {
  NameList constants;
  const std::string prefix = absl::StrCat(archive.prefix, "constants/");
  for (size_t i = 0; i < archive.zip->size(); ++i) {
    const std::string& name = archive.zip->entry(i).name;
    if (absl::StartsWith(name, prefix)) constants.Add(name);
  }
  if (constants.empty()) return;
  index->notes.push_back(absl::StrCat(
      "constants in TorchScript code are left out: ", constants.ToString(),
      "; choose them with --root ", kConstantsRoot));
}

}  // namespace

absl::Status ReadPickledArchive(const TorchArchive& archive,
                                const OpenOptions& options, ModuleNames names,
                                CheckpointIndex* index,
                                std::vector<PlacedTensor>* placed) {
  const bool has_constants =
      IsTorchScript(archive) && archive.Find("constants.pkl").has_value();
  const bool only_constants = has_constants && options.root == kConstantsRoot;
  const size_t tensors_before = placed->size();
  if (!only_constants) {
    MQ_RETURN_IF_ERROR(
        ReadPart(archive, "data", options, names, "", index, placed));
  }
  if (!has_constants) return absl::OkStatus();

  const bool everything = options.root == ".";
  const bool frozen = options.root.empty() && placed->size() == tensors_before;
  if (!only_constants && !everything && !frozen) {
    NoteConstants(archive, index);
    return absl::OkStatus();
  }
  OpenOptions all = options;
  all.root = ".";
  MQ_RETURN_IF_ERROR(ReadPart(
      archive, "constants", all, ModuleNames::kStored,
      everything ? absl::StrCat(kConstantsRoot, ".") : "", index, placed));
  if (everything || placed->size() == tensors_before) return absl::OkStatus();
  index->root = std::string(kConstantsRoot);
  if (frozen) {
    index->notes.push_back(
        "its state has no tensors, as in a frozen module: these are the "
        "constants in its code");
  }
  return absl::OkStatus();
}

absl::Status ReadInnerArchive(const TorchArchive& outer, size_t member,
                              const OpenOptions& options,
                              CheckpointIndex* index,
                              std::vector<PlacedTensor>* placed) {
  MQ_ASSIGN_OR_RETURN(ArchiveBytes bytes, outer.OpenInner(member));
  MQ_ASSIGN_OR_RETURN(const TorchArchive archive,
                      OpenTorchArchive(std::move(bytes)));
  if (archive.kind != TorchZipKind::kTorch) {
    return UnimplementedError(
        archive.zip->name(),
        ": a TorchScript or torch.export archive inside of another archive is "
        "not read; extract it first");
  }
  MQ_RETURN_IF_ERROR(ReadPickledArchive(archive, options, ModuleNames::kStored,
                                        index, placed));
  // What the inner archive does not protect, the outer one does.
  if (!archive.zip->has_checksums()) {
    MQ_RETURN_IF_ERROR(outer.zip->Verify(member));
  }
  index->notes.insert(index->notes.end(), archive.notes.begin(),
                      archive.notes.end());
  return absl::OkStatus();
}

}  // namespace monoquant
