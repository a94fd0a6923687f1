// The table of contents of a zip archive, read strictly.
//
// A zip file states most facts twice (in the central directory and in front of
// each member), and programs differ in which they believe; archives that rely
// on the difference are a known way to smuggle content. This reader accepts an
// archive only if there is one way to read it: the end record ends the file,
// the directory ends at the end record, the first member starts at byte 0,
// members do not overlap, names are unique even when case is ignored.

#ifndef MONOQUANT_FRONTENDS_ZIP_ZIP_DIRECTORY_H_
#define MONOQUANT_FRONTENDS_ZIP_ZIP_DIRECTORY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"

namespace monoquant {

enum class ZipMethod : uint16_t { kStored = 0, kDeflated = 8 };

// One member, as the central directory describes it.
struct ZipEntry {
  std::string name;
  ZipMethod method = ZipMethod::kStored;
  uint16_t flags = 0;
  uint32_t crc32 = 0;
  uint64_t compressed_size = 0;
  uint64_t size = 0;
  uint64_t header_offset = 0;
  // Where the next member or the central directory starts. The header and the
  // bytes of this member lie in [header_offset, limit).
  uint64_t limit = 0;
};

// Limits on what an archive may claim; each is named in its error.
inline constexpr uint64_t kMaxZipEntries = 500'000;
inline constexpr uint64_t kMaxZipNameBytes = uint64_t{32} << 20;  // together
inline constexpr uint64_t kMaxZipDirectoryBytes = uint64_t{512} << 20;
// The best that deflate can do; more is a lie.
inline constexpr uint64_t kMaxInflateRatio = 1032;

// Reads and checks the central directory: all entries, in the order of the
// directory. DataLoss if the archive is truncated, malformed, encrypted,
// ambiguous or beyond a limit; Unimplemented for other compression methods and
// archives in several parts. Errors name the source and the member.
absl::StatusOr<std::vector<ZipEntry>> ReadZipDirectory(
    const ByteSource& source);

// Reads the header in front of a member, checks that it agrees with the
// directory, and returns the offset of the member's first (compressed) byte.
absl::StatusOr<uint64_t> LocateZipMember(const ByteSource& source,
                                         const ZipEntry& entry);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_DIRECTORY_H_
