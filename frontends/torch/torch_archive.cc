#include "frontends/torch/torch_archive.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "frontends/name_list.h"
#include "frontends/torch/foreign_zip.h"
#include "frontends/torch/zip_storage.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A member that an archive of one kind has, and no other archive.
struct KindRow {
  absl::string_view member;
  bool in_directory;
  TorchZipKind kind;
};

constexpr KindRow kKinds[] = {
    {"data.pkl", true, TorchZipKind::kTorch},
    {"model.json", true, TorchZipKind::kTorchScriptJson},
    {"archive_format", true, TorchZipKind::kExport},
    {"serialized_exported_program.json", false, TorchZipKind::kExportPickled},
};

const KindRow* FindKind(absl::string_view base_name, bool in_directory) {
  for (const KindRow& row : kKinds) {
    if (row.in_directory == in_directory && row.member == base_name) {
      return &row;
    }
  }
  return nullptr;
}

// What file managers add when a directory is packed by hand.
bool IsLitter(absl::string_view name) {
  return absl::StartsWith(name, "__MACOSX/") || name == ".DS_Store" ||
         absl::EndsWith(name, "/.DS_Store");
}

// Finds the one member that tells the kind, and with it the prefix.
absl::Status RecogniseKind(TorchArchive* archive) {
  const ZipArchive& zip = *archive->zip;
  const KindRow* found = nullptr;
  size_t found_at = 0;
  for (size_t i = 0; i < zip.size(); ++i) {
    const absl::string_view name = zip.entry(i).name;
    if (IsLitter(name)) continue;
    const size_t slash = name.find('/');
    const absl::string_view base =
        slash == name.npos ? name : name.substr(slash + 1);
    const KindRow* row = FindKind(base, slash != name.npos);
    if (row == nullptr) continue;
    if (found != nullptr) {
      return DataLossError(zip.name(), ": it holds two checkpoints, ",
                           QuotedName(zip.entry(found_at).name), " and ",
                           QuotedName(name), "; an archive of torch has one");
    }
    found = row;
    found_at = i;
    archive->prefix = std::string(absl::StripSuffix(name, base));
  }
  if (found == nullptr) return DescribeForeignZip(zip);
  archive->kind = found->kind;
  if (found->kind == TorchZipKind::kTorch) {
    if (archive->Find("bytecode.pkl").has_value()) {
      archive->kind = TorchZipKind::kTorchScriptLite;
    } else if (archive->Find("constants.pkl").has_value()) {
      archive->kind = TorchZipKind::kTorchScript;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPrefix(TorchArchive* archive) {
  const ZipArchive& zip = *archive->zip;
  NameList litter;
  for (size_t i = 0; i < zip.size(); ++i) {
    const std::string& name = zip.entry(i).name;
    if (IsLitter(name)) {
      litter.Add(name);
    } else if (!absl::StartsWith(name, archive->prefix)) {
      return DataLossError(zip.name(), ": member ", QuotedName(name),
                           " lies outside of ", QuotedName(archive->prefix),
                           ", in which torch puts everything");
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
    return DataLossError(archive->zip->name(), ": member 'byteorder' says ",
                         QuotedName(order), ", not 'little' or 'big'");
  }
  archive->big_endian = order == "big";
  return absl::OkStatus();
}

}  // namespace

std::optional<size_t> TorchArchive::Find(absl::string_view name) const {
  return zip->Find(absl::StrCat(prefix, name));
}

absl::StatusOr<std::string> TorchArchive::Read(absl::string_view name,
                                               uint64_t limit) const {
  const std::optional<size_t> member = Find(name);
  if (!member.has_value()) {
    return DataLossError(
        zip->name(), ": member ", QuotedName(absl::StrCat(prefix, name)),
        " is missing; the file is incomplete, download or copy it again");
  }
  return zip->ReadMember(*member, limit);
}

absl::StatusOr<Json> TorchArchive::ReadJson(absl::string_view name) const {
  MQ_ASSIGN_OR_RETURN(const std::string text, Read(name, kMaxArchiveJson));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return DataLossError(zip->name(), ": member ",
                         QuotedName(absl::StrCat(prefix, name)), ": ",
                         json.status().message());
  }
  return json;
}

absl::StatusOr<std::shared_ptr<const Storage>> TorchArchive::FindStorage(
    absl::string_view name) const {
  const std::optional<size_t> member = Find(name);
  if (!member.has_value()) {
    return DataLossError(
        "storage ", QuotedName(name),
        " is not in the archive; the file is incomplete, download or copy it "
        "again");
  }
  return std::make_shared<ZipStorage>(zip, *member, std::string(name),
                                      file_name, file_offset);
}

absl::StatusOr<ArchiveBytes> TorchArchive::OpenInner(size_t member) const {
  ArchiveBytes inner;
  MQ_ASSIGN_OR_RETURN(inner.source, zip->OpenStored(member));
  MQ_ASSIGN_OR_RETURN(const uint64_t offset, zip->DataOffset(member));
  inner.file_name = file_name;
  inner.offset = file_offset + offset;
  return inner;
}

absl::StatusOr<TorchArchive> OpenTorchArchive(ArchiveBytes bytes) {
  TorchArchive archive;
  MQ_ASSIGN_OR_RETURN(archive.zip, ZipArchive::Open(std::move(bytes.source)));
  archive.file_name = std::move(bytes.file_name);
  archive.file_offset = bytes.offset;
  MQ_RETURN_IF_ERROR(RecogniseKind(&archive));
  MQ_RETURN_IF_ERROR(CheckPrefix(&archive));
  MQ_RETURN_IF_ERROR(ReadByteOrder(&archive));
  return archive;
}

}  // namespace monoquant
