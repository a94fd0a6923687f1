#include "frontends/zip/zip_end_record.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/zip/zip_directory.h"
#include "frontends/zip/zip_errors.h"
#include "frontends/zip/zip_format.h"
#include "ir/errors.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using zip::Load16;
using zip::Load32;
using zip::Load64;

absl::Status InParts(const ByteSource& source) {
  return UnimplementedError(
      source.name(),
      ": a zip archive in several parts is not read; join the parts first");
}

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
    if (found) return MalformedZip(source, "it has two end records");
    found = true;
    end = i;
  }
  if (found) return file_size - tail_size + end;
  if (found_signature) {
    return MalformedZip(source, "there are bytes after its end record");
  }
  return DataLossError(
      source.name(),
      " is truncated: it begins as a zip archive, but the record that ends one "
      "is missing after ",
      file_size, " bytes", kDownloadZipAgain);
}

// Reads the zip64 records in front of the end record, if there are any, and
// replaces the numbers of `extent`, which came from the end record.
// `*directory_end` is moved to the start of the zip64 records.
absl::Status ReadZip64End(const ByteSource& source, bool needed,
                          uint64_t* directory_end, ZipDirectoryExtent* extent) {
  uint8_t locator[zip::kZip64LocatorSize] = {};
  const bool fits = *directory_end >= sizeof(locator);
  if (fits) {
    MQ_RETURN_IF_ERROR(source.ReadAt(*directory_end - sizeof(locator),
                                     absl::MakeSpan(locator)));
  }
  if (!fits || Load32(locator) != zip::kZip64LocatorSignature) {
    if (!needed) return absl::OkStatus();
    return MalformedZip(source, "its zip64 locator is missing");
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
    return MalformedZip(source,
                        "its zip64 end record is not where it should be");
  }
  if (Load32(record + 16) != 0 || Load32(record + 20) != 0 ||
      Load64(record + 24) != Load64(record + 32)) {
    return InParts(source);
  }
  const ZipDirectoryExtent wide = {Load64(record + 32), Load64(record + 48),
                                   Load64(record + 40)};
  const auto agrees = [](uint64_t narrow, uint64_t in64, uint64_t value) {
    return narrow == in64 || narrow == value;
  };
  if (!agrees(extent->entries, zip::kIn64Short, wide.entries) ||
      !agrees(extent->size, zip::kIn64, wide.size) ||
      !agrees(extent->offset, zip::kIn64, wide.offset)) {
    return MalformedZip(source, "its two end records disagree");
  }
  *extent = wide;
  *directory_end = offset;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ZipDirectoryExtent> FindZipDirectory(const ByteSource& source) {
  MQ_ASSIGN_OR_RETURN(uint64_t directory_end, FindEndRecord(source));
  uint8_t end[zip::kEndSize];
  MQ_RETURN_IF_ERROR(source.ReadAt(directory_end, absl::MakeSpan(end)));

  ZipDirectoryExtent extent;
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
    return MalformedZip(
        source, absl::StrCat("its directory is said to be at bytes ",
                             extent.offset, " + ", extent.size,
                             ", but the end record is at ", directory_end));
  }
  if (extent.entries > kMaxZipEntries) {
    return MalformedZip(
        source,
        absl::StrCat("it has ", extent.entries,
                     " members, more than the limit of ", kMaxZipEntries));
  }
  if (extent.size > kMaxZipDirectoryBytes) {
    return MalformedZip(source, absl::StrCat("its directory has ", extent.size,
                                             " bytes, more than the limit of ",
                                             kMaxZipDirectoryBytes));
  }
  return extent;
}

}  // namespace monoquant
