// The members of a tar archive: POSIX (ustar, pax), GNU and what came before.

#ifndef MONOQUANT_FRONTENDS_TAR_TAR_DIRECTORY_H_
#define MONOQUANT_FRONTENDS_TAR_TAR_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"

namespace monoquant {

// An archive with more members is none that torch wrote.
inline constexpr size_t kMaxTarMembers = 64;

struct TarMember {
  std::string name;  // without a "./" in front
  uint64_t offset = 0;
  uint64_t size = 0;
};

// True if a header with a right checksum begins the file.
absl::StatusOr<bool> IsTar(const ByteSource& source);

// The regular files in the archive, in their order; whether their bytes are
// all there is not checked of the last. Reads the headers only. DataLoss,
// naming the file, for a broken header or more than kMaxTarMembers.
absl::StatusOr<std::vector<TarMember>> ReadTarDirectory(
    const ByteSource& source);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TAR_TAR_DIRECTORY_H_
