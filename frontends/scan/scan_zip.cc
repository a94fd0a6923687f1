// Zip archives, sound ones and others.

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/scan/scanner.h"
#include "frontends/zip/zip_archive.h"
#include "frontends/zip/zip_format.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// A member that is a pickle, or an archive: both may be deflated.
constexpr size_t kMaxInflatedPickle = 96 << 20;
constexpr size_t kMaxInflatedArchive = 48 << 20;
constexpr size_t kHeadBytes = 512;
constexpr size_t kSearchBlock = 4 << 20;
// Ends of archives in a row, or what looks like them.
constexpr size_t kMaxEnds = 20'000;
constexpr size_t kMaxHeaders = 250'000;

bool HasPickleName(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  for (const char* end : {".pkl", ".pickle", ".p", ".pck", ".joblib"}) {
    if (absl::EndsWith(lower, end)) return true;
  }
  return false;
}

// The message of a reader without the name of the file, which the report has.
std::string WithoutFile(const ByteSource& source, const absl::Status& status) {
  absl::string_view message = status.message();
  if (absl::StartsWith(message, source.name())) {
    message.remove_prefix(source.name().size());
    while (absl::StartsWith(message, ":") || absl::StartsWith(message, " ")) {
      message.remove_prefix(1);
    }
  }
  return std::string(message);
}

}  // namespace

absl::Status Scanner::ScanZip(const Source& source, int depth) {
  const size_t before = report_.pickles.size();
  const auto zip = ZipArchive::Open(source);
  if (zip.ok()) {
    MQ_ASSIGN_OR_RETURN(const bool is_sound,
                        ScanZipDirectory(source, **zip, depth));
    if (is_sound) return absl::OkStatus();
  } else if (absl::IsDataLoss(zip.status()) ||
             absl::IsUnimplemented(zip.status())) {
    MQ_ASSIGN_OR_RETURN(const bool is_chain, ScanZipChain(source, depth));
    if (is_chain) return absl::OkStatus();
    AddProblem(absl::StrCat("archive malformed: ",
                            WithoutFile(*source, zip.status())));
  } else {
    return zip.status();
  }
  // The search finds these again.
  report_.pickles.resize(before);
  return SearchZip(source, depth);
}

absl::StatusOr<bool> Scanner::ScanZipDirectory(const Source& source,
                                               const ZipArchive& zip,
                                               int depth) {
  for (size_t i = 0; i < zip.size(); ++i) {
    const ZipEntry& entry = zip.entry(i);
    const auto offset = zip.DataOffset(i);
    if (!offset.ok()) {
      if (!absl::IsDataLoss(offset.status())) return offset.status();
      AddProblem(absl::StrCat("archive malformed: ",
                              WithoutFile(*source, offset.status())));
      return false;
    }
    MQ_ASSIGN_OR_RETURN(const bool found,
                        ScanZipMember(source, entry.header_offset,
                                      entry.compressed_size, depth));
    if (!found) return false;
  }
  return true;
}

absl::StatusOr<bool> Scanner::ScanZipChain(const Source& source, int depth) {
  constexpr absl::string_view kSignature = "PK\x05\x06";
  const size_t problems = report_.problems.size();
  uint64_t begin = 0;
  size_t ends = 0;
  for (uint64_t start = 0; start < source->size(); start += kSearchBlock) {
    if (searched_ >= limits_.searched) return false;
    MQ_ASSIGN_OR_RETURN(const std::string block,
                        ReadHead(*source, start, kSearchBlock + zip::kEndSize));
    searched_ += block.size();
    for (size_t at = block.find(kSignature); at != block.npos;
         at = block.find(kSignature, at + 1)) {
      // What is in the overlap comes again.
      if (at >= kSearchBlock || block.size() - at < zip::kEndSize) break;
      if (start + at < begin) continue;
      if (++ends > kMaxEnds) return false;
      const uint64_t size = start + at + zip::kEndSize - begin;
      MQ_ASSIGN_OR_RETURN(const Source slice,
                          SliceSource(source, begin, size, source->name()));
      const auto zip = ZipArchive::Open(slice);
      // Not an end, but bytes that look like one.
      if (!zip.ok()) continue;
      Inside inside(this, absl::StrCat("archive at ", begin));
      MQ_ASSIGN_OR_RETURN(const bool is_sound,
                          ScanZipDirectory(slice, **zip, depth));
      if (!is_sound || report_.problems.size() > problems) return false;
      begin += size;
    }
  }
  return begin == source->size();
}

absl::Status Scanner::SearchZip(const Source& source, int depth) {
  constexpr absl::string_view kSignature = "PK\x03\x04";
  size_t headers = 0;
  for (uint64_t start = 0; start < source->size(); start += kSearchBlock) {
    if (searched_ >= limits_.searched) {
      AddProblem("the archive is larger than what one scan searches");
      return absl::OkStatus();
    }
    // Blocks overlap, so that no signature is cut in two.
    MQ_ASSIGN_OR_RETURN(
        const std::string block,
        ReadHead(*source, start, kSearchBlock + kSignature.size() - 1));
    searched_ += block.size();
    for (size_t at = block.find(kSignature); at != block.npos;
         at = block.find(kSignature, at + 1)) {
      if (++headers > kMaxHeaders) {
        AddProblem("the archive has more members than one scan looks at");
        return absl::OkStatus();
      }
      const uint64_t rest = source->size() - start - at;
      MQ_RETURN_IF_ERROR(
          ScanZipMember(source, start + at, rest, depth).status());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Scanner::ScanZipMember(const Source& source,
                                            uint64_t offset, uint64_t size,
                                            int depth) {
  MQ_ASSIGN_OR_RETURN(const std::string header,
                      ReadHead(*source, offset, zip::kLocalSize));
  const auto* p = reinterpret_cast<const uint8_t*>(header.data());
  if (header.size() < zip::kLocalSize ||
      zip::Load32(p) != zip::kLocalSignature) {
    return false;
  }
  const uint16_t method = zip::Load16(p + 8);
  const size_t name_size = zip::Load16(p + 26);
  const uint64_t data =
      offset + zip::kLocalSize + name_size + zip::Load16(p + 28);
  if (data >= source->size()) return true;
  MQ_ASSIGN_OR_RETURN(const std::string name,
                      ReadHead(*source, offset + zip::kLocalSize, name_size));
  Inside inside(this, name);
  if (method != 0 && method != 8) {
    // torch writes no such member and reads none.
    AddProblem(absl::StrCat("compressed with method ", method,
                            ", which is not looked into"));
    return true;
  }
  Source bytes;
  if (method == 0) {
    MQ_ASSIGN_OR_RETURN(
        bytes, SliceSource(source, data, std::min(size, source->size() - data),
                           source->name()));
  } else {
    MQ_ASSIGN_OR_RETURN(bytes, Inflate(source, data, false, kHeadBytes));
  }
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(*bytes, 0, kHeadBytes));
  const ScanKind kind = TellScanKind(head);
  const bool is_named = HasPickleName(name);
  const bool is_archive = kind == ScanKind::kZip && !is_named;
  // Most members are storages or text.
  if (!is_named && kind != ScanKind::kZip && kind != ScanKind::kPickle &&
      kind != ScanKind::kNumpy) {
    return true;
  }
  if (method == 8) {
    MQ_ASSIGN_OR_RETURN(
        bytes, Inflate(source, data, false,
                       is_archive ? kMaxInflatedArchive : kMaxInflatedPickle));
  }
  if (is_archive) {
    MQ_RETURN_IF_ERROR(ScanAnything(bytes, depth + 1));
  } else if (kind == ScanKind::kNumpy) {
    MQ_RETURN_IF_ERROR(ScanNumpy(*bytes));
  } else {
    // A storage may begin like a pickle by chance.
    MQ_RETURN_IF_ERROR(
        ScanPickles(*bytes, 0, is_named ? Expect::kByName : Expect::kAnything)
            .status());
  }
  return true;
}

}  // namespace monoquant
