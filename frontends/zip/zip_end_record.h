// The end of a zip archive, which tells where its directory is.

#ifndef MONOQUANT_FRONTENDS_ZIP_ZIP_END_RECORD_H_
#define MONOQUANT_FRONTENDS_ZIP_ZIP_END_RECORD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"

namespace monoquant {

struct ZipDirectoryExtent {
  uint64_t entries = 0;
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Reads the end record, and that of zip64 if there is one: the last must end
// the file, and the directory must end where they begin. DataLoss otherwise, or
// if a limit is exceeded; Unimplemented for archives in several parts.
absl::StatusOr<ZipDirectoryExtent> FindZipDirectory(const ByteSource& source);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_END_RECORD_H_
