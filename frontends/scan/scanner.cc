#include "frontends/scan/scanner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/scan/lenient_inflate.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kHeadBytes = 512;
// Of something that is compressed as a whole.
constexpr size_t kMaxInflatedFile = 48 << 20;
// Archives in archives in archives are not looked into.
constexpr int kMaxDepth = 2;
constexpr size_t kMaxName = 1024;
constexpr size_t kMaxProblems = 1000;
constexpr uint64_t kMaxZipEndBytes = 22 + 0xFFFF;

constexpr struct {
  absl::string_view magic;
  absl::string_view name;
} kCompressed[] = {
    {"7z\xBC\xAF\x27\x1C", "7z"}, {"BZh", "bzip2"},
    {"Rar!\x1A\x07", "rar"},      {"\x04\x22\x4D\x18", "lz4"},
    {"\x28\xB5\x2F\xFD", "zstd"}, {"\xFD\x37zXZ", "xz"},
};

absl::string_view CompressionName(absl::string_view head) {
  for (const auto& row : kCompressed) {
    if (absl::StartsWith(head, row.magic)) return row.name;
  }
  return {};
}

bool IsZlib(absl::string_view head) {
  if (head.size() < 2 || head[0] != '\x78') return false;
  const int check = 0x78 * 256 + static_cast<unsigned char>(head[1]);
  return check % 31 == 0 && (head[1] & 0x20) == 0;
}

bool IsTar(absl::string_view head) {
  if (head.size() < 512) return false;
  if (head.substr(257, 5) == "ustar") return true;
  // Older ones have nothing but a checksum, in which it counts as spaces.
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) {
    const bool in_field = i >= 148 && i < 156;
    sum += in_field ? ' ' : static_cast<unsigned char>(head[i]);
  }
  unsigned stated = 0;
  bool any = false;
  for (char c : head.substr(148, 8)) {
    if (c < '0' || c > '7') {
      if (c == ' ' || c == '\0') continue;
      return false;
    }
    stated = stated * 8 + static_cast<unsigned>(c - '0');
    any = true;
  }
  return any && stated == sum;
}

}  // namespace

ScanKind TellScanKind(absl::string_view head) {
  if (absl::StartsWith(head, "PK\x03\x04") ||
      absl::StartsWith(head, "PK\x05\x06")) {
    return ScanKind::kZip;
  }
  if (IsTar(head)) return ScanKind::kTar;
  if (head.size() > 1 && head[0] == '\x80' && head[1] >= 0 && head[1] <= 5) {
    return ScanKind::kPickle;
  }
  if (absl::StartsWith(head, "\x93NUMPY")) return ScanKind::kNumpy;
  if (absl::StartsWith(head, "\x1F\x8B\x08") || IsZlib(head)) {
    return ScanKind::kDeflate;
  }
  if (!CompressionName(head).empty()) return ScanKind::kNotLookedInto;
  return ScanKind::kOther;
}

absl::StatusOr<std::string> ReadHead(const ByteSource& source, uint64_t offset,
                                     size_t size) {
  const uint64_t rest = source.size() - std::min(offset, source.size());
  std::string head(static_cast<size_t>(std::min<uint64_t>(size, rest)), '\0');
  if (head.empty()) return head;
  MQ_RETURN_IF_ERROR(source.ReadAt(
      offset,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return head;
}

Scanner::Inside::Inside(Scanner* scanner, absl::string_view name)
    : scanner_(scanner) {
  scanner_->where_.emplace_back(name.substr(0, kMaxName));
}

void Scanner::AddProblem(std::string what) {
  if (report_.problems.size() >= kMaxProblems) return;
  report_.problems.push_back({where_, std::move(what)});
}

ScanReport Scanner::TakeReport() && {
  for (const ScannedPickle& pickle : report_.pickles) {
    report_.verdict = std::max(report_.verdict, pickle.verdict);
  }
  if (!report_.problems.empty()) {
    report_.verdict = std::max(report_.verdict, ScanVerdict::kMalformed);
  }
  return std::move(report_);
}

absl::Status Scanner::ScanAnything(const Source& source, int depth) {
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(*source, 0, kHeadBytes));
  const ScanKind kind = TellScanKind(head);
  // Whatever else it is, Python may be made to unpickle it from its first byte.
  // Not archives: a pickle that begins like one asks for a persistent id first,
  // and the programs that know what that is take it for an archive.
  if (kind != ScanKind::kZip) {
    MQ_RETURN_IF_ERROR(ScanPickles(*source, 0,
                                   kind == ScanKind::kPickle
                                       ? Expect::kByHeader
                                       : Expect::kAnything)
                           .status());
  }
  switch (kind) {
    case ScanKind::kZip:
      if (depth >= kMaxDepth) {
        AddProblem("archives are nested too deep to look into");
        return absl::OkStatus();
      }
      return ScanZip(source, depth);
    case ScanKind::kTar:
      if (depth >= kMaxDepth) {
        AddProblem("archives are nested too deep to look into");
        return absl::OkStatus();
      }
      MQ_RETURN_IF_ERROR(ScanTar(source, depth));
      break;
    case ScanKind::kNumpy:
      MQ_RETURN_IF_ERROR(ScanNumpy(*source));
      break;
    case ScanKind::kDeflate:
      MQ_RETURN_IF_ERROR(ScanCompressed(source, depth));
      break;
    case ScanKind::kNotLookedInto:
      AddProblem(absl::StrCat("compressed with ", CompressionName(head),
                              ", which is not looked into; decompress it"));
      break;
    case ScanKind::kPickle:
    case ScanKind::kOther:
      break;
  }
  // Programs that look for an archive from its end find it behind anything.
  const uint64_t tail_bytes = std::min(kMaxZipEndBytes, source->size());
  MQ_ASSIGN_OR_RETURN(const std::string tail,
                      ReadHead(*source, source->size() - tail_bytes,
                               static_cast<size_t>(tail_bytes)));
  const size_t end = tail.rfind("PK\x05\x06");
  if (end == tail.npos || tail.size() - end < 22 || depth >= kMaxDepth) {
    return absl::OkStatus();
  }
  const auto comment =
      static_cast<size_t>(static_cast<unsigned char>(tail[end + 20]) |
                          static_cast<unsigned char>(tail[end + 21]) << 8);
  if (tail.size() - end - 22 != comment) return absl::OkStatus();
  AddProblem("a zip archive hides behind other content");
  return SearchZip(source, depth);
}

absl::Status Scanner::ScanNumpy(const ByteSource& source) {
  // Magic number, two bytes of version, the size of a text with the dtype.
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(source, 0, 64 << 10));
  if (head.size() < 12) return absl::OkStatus();
  const auto byte = [&head](size_t i) {
    return static_cast<uint64_t>(static_cast<unsigned char>(head[i]));
  };
  const bool is_long = byte(6) >= 2;
  const uint64_t size =
      byte(8) | byte(9) << 8 | (is_long ? byte(10) << 16 | byte(11) << 24 : 0);
  const uint64_t data = (is_long ? 12 : 10) + size;
  const absl::string_view text = absl::string_view(head).substr(0, data);
  // Arrays of Python objects are pickled; those of numbers are not.
  if (data <= head.size() && !absl::StrContains(text, "'|O'") &&
      !absl::StrContains(text, "'O'")) {
    return absl::OkStatus();
  }
  return ScanPickles(source, data, Expect::kAnything).status();
}

absl::Status Scanner::ScanCompressed(const Source& source, int depth) {
  if (depth >= kMaxDepth) {
    AddProblem("compressed too often to look into");
    return absl::OkStatus();
  }
  MQ_ASSIGN_OR_RETURN(
      const Source inflated,
      Inflate(source, 0, /*has_header=*/true, kMaxInflatedFile));
  if (inflated->size() == 0) return absl::OkStatus();
  Inside inside(this, "decompressed");
  return ScanAnything(inflated, depth + 1);
}

absl::StatusOr<Scanner::Source> Scanner::Inflate(const Source& source,
                                                 uint64_t offset,
                                                 bool has_header,
                                                 size_t limit) {
  const uint64_t left =
      limits_.inflated - std::min(inflated_, limits_.inflated);
  const auto most = static_cast<size_t>(std::min<uint64_t>(left, limit));
  MQ_ASSIGN_OR_RETURN(Inflated inflated,
                      InflateLeniently(*source, offset,
                                       has_header ? DeflateWrapper::kZlibOrGzip
                                                  : DeflateWrapper::kNone,
                                       most));
  inflated_ += inflated.bytes.size();
  if (!inflated.complete && limit > kHeadBytes) {
    AddProblem(inflated.bytes.size() == most
                   ? absl::StrCat("decompresses to more than the limit of ",
                                  most, " bytes; the rest is not looked into")
                   : "compressed data is damaged or breaks off");
  }
  return std::make_shared<MemorySource>(source->name(),
                                        std::move(inflated.bytes));
}

}  // namespace monoquant
