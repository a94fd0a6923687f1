#include "frontends/zip/zip_directory.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/zip/zip_format.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using zip::Load16;
using zip::Load32;
using zip::Load64;

constexpr absl::string_view kAgain = "; download or copy it again";

absl::Status Malformed(const ByteSource& source, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat(source.name(), ": malformed zip archive: ", what, kAgain));
}

absl::Status InParts(const ByteSource& source) {
  return absl::UnimplementedError(absl::StrCat(
      source.name(),
      ": a zip archive in several parts is not read; join the parts first"));
}

// Where the directory lies, from the end records.
struct DirectoryExtent {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The end record's offset. It is found from the end of the file, and must end
// exactly there.
absl::StatusOr<uint64_t> FindEndRecord(const ByteSource& source) {
  const uint64_t file_size = source.size();
  const size_t tail_size = static_cast<size_t>(
      std::min<uint64_t>(file_size, zip::kEndSize + zip::kMaxCommentSize));
  std::vector<uint8_t> tail(tail_size);
  MQ_RETURN_IF_ERROR(
      source.ReadAt(file_size - tail_size, absl::MakeSpan(tail)));

  bool found = false;
  bool found_signature = false;
  size_t end = 0;
  for (size_t i = tail_size < zip::kEndSize ? 0 : tail_size - zip::kEndSize + 1;
       i-- > 0;) {
    if (Load32(&tail[i]) != zip::kEndSignature) continue;
    found_signature = true;
    if (i + zip::kEndSize + Load16(&tail[i + 20]) != tail_size) continue;
    // A second one inside the comment of the first: readers disagree on which
    // to take.
    if (found) return Malformed(source, "it has two end records");
    found = true;
    end = i;
  }
  if (found) return file_size - tail_size + end;
  if (found_signature) {
    return Malformed(source, "there are bytes after its end record");
  }
  return absl::DataLossError(absl::StrCat(
      source.name(),
      " is truncated: it begins as a zip archive, but the record that ends one "
      "is missing after ",
      file_size, " bytes", kAgain));
}

// Reads the zip64 records in front of the end record, if there are any, and
// replaces the numbers of `extent`, which came from the end record.
// `*directory_end` is moved to the start of the zip64 records.
absl::Status ReadZip64End(const ByteSource& source, bool needed,
                          uint64_t* directory_end, DirectoryExtent* extent) {
  uint8_t locator[zip::kZip64LocatorSize] = {};
  const bool fits = *directory_end >= sizeof(locator);
  if (fits) {
    MQ_RETURN_IF_ERROR(source.ReadAt(*directory_end - sizeof(locator),
                                     absl::MakeSpan(locator)));
  }
  if (!fits || Load32(locator) != zip::kZip64LocatorSignature) {
    if (!needed) return absl::OkStatus();
    return Malformed(source, "its zip64 locator is missing");
  }
  const uint64_t locator_offset = *directory_end - sizeof(locator);
  const uint64_t offset = Load64(locator + 8);
  if (Load32(locator + 4) != 0 || Load32(locator + 16) > 1) {
    return InParts(source);
  }
  // The record stands right in front of its locator.
  uint64_t size = 0;
  uint8_t record[zip::kZip64EndSize] = {};
  bool sound =
      offset <= locator_offset && locator_offset - offset >= sizeof(record);
  if (sound) {
    MQ_RETURN_IF_ERROR(source.ReadAt(offset, absl::MakeSpan(record)));
    // The size does not count itself and the signature before it.
    size = Load64(record + 4);
    sound = Load32(record) == zip::kZip64EndSignature &&
            size == locator_offset - offset - 12;
  }
  if (!sound) {
    return Malformed(source, "its zip64 end record is not where it should be");
  }
  if (Load32(record + 16) != 0 || Load32(record + 20) != 0 ||
      Load64(record + 24) != Load64(record + 32)) {
    return InParts(source);
  }
  const DirectoryExtent wide = {Load64(record + 32), Load64(record + 48),
                                Load64(record + 40)};
  const auto agrees = [](uint64_t narrow, uint64_t in64, uint64_t value) {
    return narrow == in64 || narrow == value;
  };
  if (!agrees(extent->entries, zip::kIn64Short, wide.entries) ||
      !agrees(extent->size, zip::kIn64, wide.size) ||
      !agrees(extent->offset, zip::kIn64, wide.offset)) {
    return Malformed(source, "its two end records disagree");
  }
  *extent = wide;
  *directory_end = offset;
  return absl::OkStatus();
}

absl::StatusOr<DirectoryExtent> FindDirectory(const ByteSource& source) {
  MQ_ASSIGN_OR_RETURN(uint64_t directory_end, FindEndRecord(source));
  uint8_t end[zip::kEndSize];
  MQ_RETURN_IF_ERROR(source.ReadAt(directory_end, absl::MakeSpan(end)));

  DirectoryExtent extent;
  extent.entries = Load16(end + 10);
  extent.size = Load32(end + 12);
  extent.offset = Load32(end + 16);
  const bool needs_zip64 = extent.entries == zip::kIn64Short ||
                           extent.size == zip::kIn64 ||
                           extent.offset == zip::kIn64;
  const bool one_part = (Load16(end + 4) == 0 && Load16(end + 6) == 0 &&
                         Load16(end + 8) == Load16(end + 10)) ||
                        (needs_zip64 && Load16(end + 4) == zip::kIn64Short);
  if (!one_part) {
    return InParts(source);
  }
  MQ_RETURN_IF_ERROR(
      ReadZip64End(source, needs_zip64, &directory_end, &extent));

  uint64_t end_of_entries;
  if (!CheckedAdd(extent.offset, extent.size, &end_of_entries) ||
      end_of_entries != directory_end) {
    return Malformed(
        source, absl::StrCat("its directory is said to be at bytes ",
                             extent.offset, " + ", extent.size,
                             ", but the end record is at ", directory_end));
  }
  if (extent.entries > kMaxZipEntries) {
    return Malformed(source, absl::StrCat("it has ", extent.entries,
                                          " members, more than the limit of ",
                                          kMaxZipEntries));
  }
  if (extent.size > kMaxZipDirectoryBytes) {
    return Malformed(source, absl::StrCat("its directory has ", extent.size,
                                          " bytes, more than the limit of ",
                                          kMaxZipDirectoryBytes));
  }
  return extent;
}

// Finds the zip64 field among the extra fields of a header and replaces those
// of `values` that are kIn64, in the order of the format. False if a field is
// malformed or a value is missing.
bool ApplyZip64Extra(absl::Span<const uint8_t> extra,
                     absl::Span<uint64_t* const> values) {
  absl::Span<const uint8_t> zip64;
  bool found = false;
  while (extra.size() >= 4) {
    const size_t size = Load16(&extra[2]);
    if (extra.size() - 4 < size) return false;
    if (Load16(&extra[0]) == zip::kZip64ExtraId) {
      if (found) return false;
      found = true;
      zip64 = extra.subspan(4, size);
    }
    extra.remove_prefix(4 + size);
  }
  for (uint64_t* value : values) {
    if (*value != zip::kIn64) continue;
    if (zip64.size() < 8) return false;
    *value = Load64(zip64.data());
    zip64.remove_prefix(8);
  }
  return true;
}

// Parses the entry at the start of `*directory` and moves past it.
absl::StatusOr<ZipEntry> ParseEntry(const ByteSource& source,
                                    absl::Span<const uint8_t>* directory) {
  if (directory->size() < zip::kDirectorySize ||
      Load32(directory->data()) != zip::kDirectorySignature) {
    return Malformed(source, "its directory breaks off");
  }
  const uint8_t* header = directory->data();
  const size_t name_size = Load16(header + 28);
  const size_t extra_size = Load16(header + 30);
  const size_t comment_size = Load16(header + 32);
  if (directory->size() - zip::kDirectorySize <
      name_size + extra_size + comment_size) {
    return Malformed(source, "its directory breaks off");
  }
  ZipEntry entry;
  entry.name.assign(reinterpret_cast<const char*>(header + zip::kDirectorySize),
                    name_size);
  entry.flags = Load16(header + 8);
  entry.crc32 = Load32(header + 16);
  entry.compressed_size = Load32(header + 20);
  entry.size = Load32(header + 24);
  entry.header_offset = Load32(header + 42);
  if (!ApplyZip64Extra(
          directory->subspan(zip::kDirectorySize + name_size, extra_size),
          {&entry.size, &entry.compressed_size, &entry.header_offset})) {
    return Malformed(source,
                     absl::StrCat("the zip64 field of member ",
                                  QuotedName(entry.name), " is broken"));
  }
  const uint16_t method = Load16(header + 10);
  directory->remove_prefix(zip::kDirectorySize + name_size + extra_size +
                           comment_size);

  if (entry.name.empty() || entry.name.find('\0') != std::string::npos) {
    return Malformed(
        source, absl::StrCat("a member is named ", QuotedName(entry.name)));
  }
  if (entry.flags & (zip::kEncrypted | zip::kStrongEncryption |
                     zip::kMaskedHeaders | zip::kPatched)) {
    return absl::UnimplementedError(absl::StrCat(
        source.name(), ": member ", QuotedName(entry.name),
        " is encrypted or patched; decrypt it and make the archive anew"));
  }
  if (method != 0 && method != 8) {
    return absl::UnimplementedError(absl::StrCat(
        source.name(), ": member ", QuotedName(entry.name),
        " uses compression method ", method,
        "; only stored and deflated members are read, make the archive anew"));
  }
  entry.method = static_cast<ZipMethod>(method);
  if (entry.method == ZipMethod::kStored
          ? entry.size != entry.compressed_size
          : entry.size / kMaxInflateRatio > entry.compressed_size) {
    return Malformed(
        source, absl::StrCat("member ", QuotedName(entry.name), " cannot have ",
                             entry.size, " bytes from ", entry.compressed_size,
                             " stored ones"));
  }
  return entry;
}

// Sets every entry's limit, and refuses members that overlap each other or the
// directory. Local headers are not read here, so this counts what a member
// needs at least; LocateZipMember checks the rest.
absl::Status CheckPlaces(const ByteSource& source, uint64_t directory_offset,
                         std::vector<ZipEntry>* entries) {
  std::vector<size_t> order(entries->size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return (*entries)[a].header_offset < (*entries)[b].header_offset;
  });
  for (size_t i = 0; i < order.size(); ++i) {
    ZipEntry& entry = (*entries)[order[i]];
    if (i == 0 && entry.header_offset != 0) {
      return Malformed(source, absl::StrCat("there are ", entry.header_offset,
                                            " bytes before its first member"));
    }
    entry.limit = i + 1 < order.size() ? (*entries)[order[i + 1]].header_offset
                                       : directory_offset;
    uint64_t end;
    if (!CheckedAdd(entry.header_offset, zip::kLocalSize + entry.name.size(),
                    &end) ||
        !CheckedAdd(end, entry.compressed_size, &end) || end > entry.limit) {
      return Malformed(source, absl::StrCat("member ", QuotedName(entry.name),
                                            " overlaps what follows it"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const ByteSource& source,
                        const std::vector<ZipEntry>& entries) {
  absl::flat_hash_map<std::string, size_t> seen;
  seen.reserve(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto [it, inserted] =
        seen.emplace(absl::AsciiStrToLower(entries[i].name), i);
    if (inserted) continue;
    return Malformed(
        source, absl::StrCat("members ", QuotedName(entries[it->second].name),
                             " and ", QuotedName(entries[i].name),
                             " have the same name but for case"));
  }
  return absl::OkStatus();
}

absl::Status CheckTotalSize(const ByteSource& source,
                            const std::vector<ZipEntry>& entries) {
  constexpr uint64_t kSlack = uint64_t{64} << 20;
  uint64_t allowed;
  if (!CheckedMul(source.size(), 4, &allowed) ||
      !CheckedAdd(allowed, kSlack, &allowed)) {
    return absl::OkStatus();
  }
  uint64_t total = 0;
  for (const ZipEntry& entry : entries) {
    if (!CheckedAdd(total, entry.size, &total) || total > allowed) {
      return Malformed(
          source,
          absl::StrCat("its members claim more than the limit of ", allowed,
                       " bytes, four times its size and 64 MiB"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<ZipEntry>> ReadZipDirectory(
    const ByteSource& source) {
  MQ_ASSIGN_OR_RETURN(const DirectoryExtent extent, FindDirectory(source));
  std::vector<uint8_t> bytes(static_cast<size_t>(extent.size));
  MQ_RETURN_IF_ERROR(source.ReadAt(extent.offset, absl::MakeSpan(bytes)));

  absl::Span<const uint8_t> rest = bytes;
  std::vector<ZipEntry> entries;
  // An entry takes at least its header, whatever the end record claims.
  entries.reserve(static_cast<size_t>(
      std::min<uint64_t>(extent.entries, extent.size / zip::kDirectorySize)));
  for (uint64_t i = 0; i < extent.entries; ++i) {
    MQ_ASSIGN_OR_RETURN(ZipEntry entry, ParseEntry(source, &rest));
    entries.push_back(std::move(entry));
  }
  if (!rest.empty()) {
    return Malformed(
        source, absl::StrCat("its directory has more than the ", extent.entries,
                             " members it is said to have"));
  }
  MQ_RETURN_IF_ERROR(CheckPlaces(source, extent.offset, &entries));
  MQ_RETURN_IF_ERROR(CheckNames(source, entries));
  MQ_RETURN_IF_ERROR(CheckTotalSize(source, entries));
  return entries;
}

absl::StatusOr<uint64_t> LocateZipMember(const ByteSource& source,
                                         const ZipEntry& entry) {
  const auto disagrees = [&](absl::string_view what) {
    return Malformed(
        source,
        absl::StrCat("the header in front of member ", QuotedName(entry.name),
                     " disagrees with the directory on its ", what));
  };
  // ReadZipDirectory has checked that this much lies before entry.limit.
  std::vector<uint8_t> header(zip::kLocalSize + entry.name.size());
  MQ_RETURN_IF_ERROR(
      source.ReadAt(entry.header_offset, absl::MakeSpan(header)));
  if (Load32(&header[0]) != zip::kLocalSignature) return disagrees("place");
  const uint16_t flags = Load16(&header[6]);
  const size_t name_size = Load16(&header[26]);
  const size_t extra_size = Load16(&header[28]);
  if (name_size != entry.name.size() ||
      std::memcmp(&header[zip::kLocalSize], entry.name.data(), name_size) !=
          0) {
    return disagrees("name");
  }
  if (Load16(&header[8]) != static_cast<uint16_t>(entry.method)) {
    return disagrees("compression method");
  }
  if ((flags ^ entry.flags) & (zip::kEncrypted | zip::kHasDataDescriptor)) {
    return disagrees("flags");
  }

  const uint64_t extra_offset =
      entry.header_offset + zip::kLocalSize + name_size;
  const uint64_t data_offset = extra_offset + extra_size;
  if (data_offset > entry.limit ||
      entry.compressed_size > entry.limit - data_offset) {
    return Malformed(source, absl::StrCat("member ", QuotedName(entry.name),
                                          " overlaps what follows it"));
  }
  // With a data descriptor the sizes stand behind the member.
  if (flags & zip::kHasDataDescriptor) return data_offset;

  uint64_t compressed_size = Load32(&header[18]);
  uint64_t size = Load32(&header[22]);
  if (size == zip::kIn64 || compressed_size == zip::kIn64) {
    std::vector<uint8_t> extra(extra_size);
    MQ_RETURN_IF_ERROR(source.ReadAt(extra_offset, absl::MakeSpan(extra)));
    if (!ApplyZip64Extra(extra, {&size, &compressed_size})) {
      return disagrees("size");
    }
  }
  if (size != entry.size || compressed_size != entry.compressed_size) {
    return disagrees("size");
  }
  if (Load32(&header[14]) != entry.crc32) return disagrees("CRC-32");
  return data_offset;
}

}  // namespace monoquant
