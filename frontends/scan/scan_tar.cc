// Tar archives: those of old torch, and checkpoints that were packed together.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "frontends/scan/scanner.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kMaxMembers = 100'000;
// How much of a member is searched for pickles between other bytes.
constexpr uint64_t kMaxSearched = uint64_t{256} << 20;
constexpr size_t kMaxCandidates = 100'000;
constexpr size_t kSearchBlock = 1 << 20;

// The size field: octal, or big-endian bytes after a byte 0x80.
uint64_t MemberSize(absl::string_view header) {
  const absl::string_view field = header.substr(124, 12);
  uint64_t size = 0;
  if (field[0] == '\x80') {
    for (char c : field.substr(4)) {
      size = size << 8 | static_cast<unsigned char>(c);
    }
    return size;
  }
  for (char c : field) {
    if (c >= '0' && c <= '7') size = size << 3 | static_cast<uint64_t>(c - '0');
  }
  return size;
}

}  // namespace

absl::Status Scanner::ScanTar(const Source& source, int depth) {
  uint64_t offset = 0;
  for (size_t members = 0; offset < source->size(); ++members) {
    MQ_ASSIGN_OR_RETURN(const std::string header,
                        ReadHead(*source, offset, kBlock));
    if (header.size() < kBlock) {
      AddProblem("archive malformed: it breaks off");
      return absl::OkStatus();
    }
    // The end: blocks of zeros.
    if (header.find_first_not_of('\0') == header.npos) return absl::OkStatus();
    if (members >= kMaxMembers) {
      AddProblem("the archive has more members than one scan looks at");
      return absl::OkStatus();
    }
    offset += kBlock;
    const uint64_t size = MemberSize(header);
    const uint64_t rest = source->size() - offset;
    const std::string name(header.c_str(),
                           std::min<size_t>(header.find('\0'), 100));
    const char type = header[156];
    Inside inside(this, name);
    if (type == '\0' || type == '0' || type == '7') {
      MQ_ASSIGN_OR_RETURN(
          const Source member,
          SliceSource(source, offset, std::min(size, rest), source->name()));
      MQ_RETURN_IF_ERROR(ScanAnything(member, depth + 1));
      // Old torch has pickles between the bytes of its storages.
      MQ_RETURN_IF_ERROR(SearchPickles(*member));
    }
    if (size > rest) {
      AddProblem("archive malformed: a member breaks off");
      return absl::OkStatus();
    }
    offset += (size + kBlock - 1) / kBlock * kBlock;
  }
  return absl::OkStatus();
}

absl::Status Scanner::SearchPickles(const ByteSource& source) {
  size_t candidates = 0;
  uint64_t offset = 0;
  for (const ScannedPickle& pickle : report_.pickles) {
    if (pickle.where == where_)
      offset = std::max(offset, pickle.offset + pickle.bytes);
  }
  // Members without any pickle are something else. Those of one name share
  // their place: a longer one before this may have ended further on.
  if (offset == 0 || offset >= source.size()) return absl::OkStatus();
  const uint64_t end = offset + std::min(kMaxSearched, source.size() - offset);
  while (offset < end) {
    MQ_ASSIGN_OR_RETURN(const std::string block,
                        ReadHead(source, offset, kSearchBlock));
    uint64_t next = offset + std::max<size_t>(block.size(), 2) - 1;
    for (size_t at = block.find('\x80');
         at != block.npos && at + 1 < block.size();
         at = block.find('\x80', at + 1)) {
      if (block[at + 1] < 0 || block[at + 1] > 5) continue;
      if (++candidates > kMaxCandidates) return absl::OkStatus();
      MQ_ASSIGN_OR_RETURN(const uint64_t after,
                          ScanPickles(source, offset + at, Expect::kAnything));
      if (after > offset + at) {
        next = after;
        break;
      }
    }
    offset = next;
  }
  return absl::OkStatus();
}

}  // namespace monoquant
