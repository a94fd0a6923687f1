#include "frontends/zip/zip_directory.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/zip/zip_end_record.h"
#include "frontends/zip/zip_errors.h"
#include "frontends/zip/zip_format.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using zip::Load16;
using zip::Load32;
using zip::Load64;

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
    return MalformedZip(source, "its directory breaks off");
  }
  const uint8_t* header = directory->data();
  const size_t name_size = Load16(header + 28);
  const size_t extra_size = Load16(header + 30);
  const size_t comment_size = Load16(header + 32);
  if (directory->size() - zip::kDirectorySize <
      name_size + extra_size + comment_size) {
    return MalformedZip(source, "its directory breaks off");
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
    return MalformedZip(source,
                        absl::StrCat("the zip64 field of member ",
                                     QuotedName(entry.name), " is broken"));
  }
  const uint16_t method = Load16(header + 10);
  directory->remove_prefix(zip::kDirectorySize + name_size + extra_size +
                           comment_size);

  if (entry.name.empty() || entry.name.find('\0') != std::string::npos) {
    return MalformedZip(
        source, absl::StrCat("a member is named ", QuotedName(entry.name)));
  }
  if (entry.flags & (zip::kEncrypted | zip::kStrongEncryption |
                     zip::kMaskedHeaders | zip::kPatched)) {
    return UnimplementedError(
        source.name(), ": member ", QuotedName(entry.name),
        " is encrypted or patched; decrypt it and make the archive anew");
  }
  if (method != 0 && method != 8) {
    return UnimplementedError(
        source.name(), ": member ", QuotedName(entry.name),
        " uses compression method ", method,
        "; only stored and deflated members are read, make the archive anew");
  }
  entry.method = static_cast<ZipMethod>(method);
  if (entry.method == ZipMethod::kStored
          ? entry.size != entry.compressed_size
          : entry.size / kMaxInflateRatio > entry.compressed_size) {
    return MalformedZip(
        source, absl::StrCat("member ", QuotedName(entry.name), " cannot have ",
                             entry.size, " bytes from ", entry.compressed_size,
                             " stored ones"));
  }
  return entry;
}

// The entries of the directory, which is read in pieces.
class DirectoryBytes {
 public:
  DirectoryBytes(const ByteSource& source, const ZipDirectoryExtent& extent)
      : source_(source), offset_(extent.offset), unread_(extent.size) {}

  absl::StatusOr<ZipEntry> Next() {
    if (rest_.size() < kMaxEntrySize && unread_ > 0) {
      MQ_RETURN_IF_ERROR(Refill());
    }
    return ParseEntry(source_, &rest_);
  }

  bool AtEnd() const { return rest_.empty() && unread_ == 0; }

 private:
  static constexpr size_t kMaxEntrySize = zip::kDirectorySize + 3 * 0xFFFF;
  static constexpr size_t kPiece = 4 * kMaxEntrySize;

  absl::Status Refill() {
    std::vector<uint8_t> bytes(rest_.begin(), rest_.end());
    const size_t kept = bytes.size();
    const auto piece = static_cast<size_t>(std::min<uint64_t>(kPiece, unread_));
    bytes.resize(kept + piece);
    MQ_RETURN_IF_ERROR(
        source_.ReadAt(offset_, absl::MakeSpan(bytes).subspan(kept)));
    offset_ += piece;
    unread_ -= piece;
    bytes_ = std::move(bytes);
    rest_ = bytes_;
    return absl::OkStatus();
  }

  const ByteSource& source_;
  uint64_t offset_;  // of the bytes that have not been read
  uint64_t unread_;
  std::vector<uint8_t> bytes_;
  absl::Span<const uint8_t> rest_;  // of bytes_, what has not been parsed
};

// Sets every entry's limit, and refuses members that overlap each other or the
// directory. Local headers are not read here, so this counts what a member
// needs at least; LocateZipMember checks the rest.
absl::Status CheckPlaces(const ByteSource& source, uint64_t directory_offset,
                         std::vector<ZipEntry>* entries) {
  const std::vector<size_t> order =
      SortedOrder(entries->size(), [&](size_t a, size_t b) {
        return (*entries)[a].header_offset < (*entries)[b].header_offset;
      });
  for (size_t i = 0; i < order.size(); ++i) {
    ZipEntry& entry = (*entries)[order[i]];
    if (i == 0 && entry.header_offset != 0) {
      return MalformedZip(source,
                          absl::StrCat("there are ", entry.header_offset,
                                       " bytes before its first member"));
    }
    entry.limit = i + 1 < order.size() ? (*entries)[order[i + 1]].header_offset
                                       : directory_offset;
    uint64_t end;
    if (!CheckedAdd(entry.header_offset, zip::kLocalSize + entry.name.size(),
                    &end) ||
        !CheckedAdd(end, entry.compressed_size, &end) || end > entry.limit) {
      return MalformedZip(source,
                          absl::StrCat("member ", QuotedName(entry.name),
                                       " overlaps what follows it"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const ByteSource& source,
                        const std::vector<ZipEntry>& entries) {
  // All names in small letters, behind one another in one string.
  std::string folded;
  size_t size = 0;
  for (const ZipEntry& entry : entries) size += entry.name.size();
  folded.reserve(size);
  for (const ZipEntry& entry : entries) folded += entry.name;
  absl::AsciiStrToLower(&folded);

  absl::flat_hash_map<absl::string_view, size_t> seen;
  seen.reserve(entries.size());
  absl::string_view rest = folded;
  for (size_t i = 0; i < entries.size(); ++i) {
    const size_t name_size = entries[i].name.size();
    const auto [it, inserted] = seen.emplace(rest.substr(0, name_size), i);
    rest.remove_prefix(name_size);
    if (inserted) continue;
    return MalformedZip(
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
      return MalformedZip(
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
  MQ_ASSIGN_OR_RETURN(const ZipDirectoryExtent extent,
                      FindZipDirectory(source));
  DirectoryBytes bytes(source, extent);
  std::vector<ZipEntry> entries;
  // An entry takes at least its header, whatever the end record claims.
  entries.reserve(static_cast<size_t>(
      std::min<uint64_t>(extent.entries, extent.size / zip::kDirectorySize)));
  uint64_t name_bytes = 0;
  for (uint64_t i = 0; i < extent.entries; ++i) {
    MQ_ASSIGN_OR_RETURN(ZipEntry entry, bytes.Next());
    name_bytes += entry.name.size();
    if (name_bytes > kMaxZipNameBytes) {
      return MalformedZip(
          source, absl::StrCat("the names of its members exceed the limit of ",
                               kMaxZipNameBytes, " bytes"));
    }
    entries.push_back(std::move(entry));
  }
  if (!bytes.AtEnd()) {
    return MalformedZip(
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
    return MalformedZip(
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
    return MalformedZip(source, absl::StrCat("member ", QuotedName(entry.name),
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
