#include "frontends/torch/torch_archive.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "frontends/name_list.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kDataPkl = "/data.pkl";

// Other kinds of zip archive, by a member that only they have.
struct ForeignRow {
  // The whole name, or its end if it begins with '/' or '.'.
  absl::string_view member;
  absl::string_view what;
  absl::string_view next_step;
};

constexpr ForeignRow kForeign[] = {
    {"/model.json", "a TorchScript archive from before torch 1.3",
     "load it once with torch.jit.load and save its state_dict()"},
    {"/archive_format", "a torch.export program (.pt2)",
     "load it once with torch.export.load and save its state_dict"},
    {"serialized_exported_program.json", "a torch.export program (.pt2)",
     "load it once with torch.export.load and save its state_dict"},
    {"/.data/extern_modules", "a torch.package archive",
     "load the model from it in Python and save its state_dict()"},
    {"MAR-INF/MANIFEST.json", "a TorchServe model archive (.mar)",
     "extract it and name the checkpoint inside"},
    {"model.weights.h5", "a Keras model", "only PyTorch checkpoints are read"},
    {"data.pkl", "a torch archive that was packed again without its directory",
     "extract it into a directory and pack that directory, stored"},
    {".npy", "an archive of NumPy arrays (.npz)",
     "save the arrays as tensors in torch or safetensors"},
    {".safetensors", "an archive of checkpoints",
     "extract it and name a checkpoint inside"},
    {".ckpt", "an archive of checkpoints",
     "extract it and name a checkpoint inside"},
    {".pth", "an archive of checkpoints",
     "extract it and name a checkpoint inside"},
    {".pt", "an archive of checkpoints",
     "extract it and name a checkpoint inside"},
    {".bin", "an archive of checkpoints",
     "extract it and name a checkpoint inside"},
};

absl::Status DescribeForeign(const ZipArchive& zip) {
  absl::string_view what = "a zip archive without data.pkl";
  absl::string_view next_step =
      "name a file that torch.save wrote, or a .safetensors file";
  const auto has = [&](absl::string_view member) {
    const bool is_end = member[0] == '/' || member[0] == '.';
    for (size_t i = 0; i < zip.size(); ++i) {
      const std::string& name = zip.entry(i).name;
      if (is_end ? absl::EndsWith(name, member) : name == member) return true;
    }
    return false;
  };
  for (const ForeignRow& row : kForeign) {
    if (!has(row.member)) continue;
    what = row.what;
    next_step = row.next_step;
    break;
  }
  return absl::UnimplementedError(
      absl::StrCat(zip.name(), ": this is ", what,
                   ", which monoquant does not read; ", next_step));
}

// What file managers add when a directory is packed by hand.
bool IsLitter(absl::string_view name) {
  return absl::StartsWith(name, "__MACOSX/") || name == ".DS_Store" ||
         absl::EndsWith(name, "/.DS_Store");
}

// Finds the one member ROOT/data.pkl.
absl::Status FindRootDirectory(TorchArchive* archive) {
  const ZipArchive& zip = *archive->zip;
  bool found = false;
  for (size_t i = 0; i < zip.size(); ++i) {
    absl::string_view directory = zip.entry(i).name;
    if (IsLitter(directory) || !absl::ConsumeSuffix(&directory, kDataPkl)) {
      continue;
    }
    if (directory.find('/') != directory.npos) continue;
    if (found) {
      return absl::DataLossError(absl::StrCat(
          zip.name(), ": it holds two pickles, ",
          QuotedName(zip.entry(archive->data_pkl).name), " and ",
          QuotedName(zip.entry(i).name), "; a checkpoint has one"));
    }
    found = true;
    archive->root = std::string(directory);
    archive->data_pkl = i;
  }
  if (!found) return DescribeForeign(zip);

  NameList litter;
  const std::string prefix = absl::StrCat(archive->root, "/");
  for (size_t i = 0; i < zip.size(); ++i) {
    const std::string& name = zip.entry(i).name;
    if (IsLitter(name)) {
      litter.Add(name);
    } else if (!absl::StartsWith(name, prefix)) {
      return absl::DataLossError(absl::StrCat(
          zip.name(), ": member ", QuotedName(name), " lies outside of ",
          QuotedName(prefix), ", in which torch puts everything"));
    }
  }
  if (!litter.empty()) {
    archive->notes.push_back(absl::StrCat(
        "members that are no part of a checkpoint: ", litter.ToString()));
  }
  return absl::OkStatus();
}

absl::Status ReadByteOrder(TorchArchive* archive) {
  const auto member = archive->Find("byteorder");
  if (!member.has_value()) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const std::string order,
                      archive->zip->ReadMember(*member, /*limit=*/64));
  if (order != "little" && order != "big") {
    return absl::DataLossError(
        absl::StrCat(archive->zip->name(), ": member 'byteorder' says ",
                     QuotedName(order), ", not 'little' or 'big'"));
  }
  archive->big_endian = order == "big";
  return absl::OkStatus();
}

}  // namespace

std::optional<size_t> TorchArchive::Find(absl::string_view name) const {
  return zip->Find(absl::StrCat(root, "/", name));
}

absl::StatusOr<TorchArchive> OpenTorchArchive(
    std::shared_ptr<const ByteSource> source) {
  TorchArchive archive;
  MQ_ASSIGN_OR_RETURN(archive.zip, ZipArchive::Open(std::move(source)));
  MQ_RETURN_IF_ERROR(FindRootDirectory(&archive));
  if (!archive.zip->has_checksums()) {
    archive.notes.push_back(
        "it was written without CRC-32; damage to it cannot be found");
  }
  MQ_RETURN_IF_ERROR(ReadByteOrder(&archive));
  archive.torchscript = archive.Find("constants.pkl").has_value();
  NameList constants;
  const std::string prefix = absl::StrCat(archive.root, "/constants/");
  for (size_t i = 0; i < archive.zip->size(); ++i) {
    const std::string& name = archive.zip->entry(i).name;
    if (absl::StartsWith(name, prefix)) constants.Add(name);
  }
  if (!constants.empty()) {
    archive.notes.push_back(absl::StrCat(
        "constants in TorchScript code are left out: ", constants.ToString()));
  }
  return archive;
}

}  // namespace monoquant
