// Writing into an open file of planned size, with errors that tell the user
// what is missing.

#ifndef MONOQUANT_IR_WRITE_FILE_H_
#define MONOQUANT_IR_WRITE_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace monoquant {

// The status for `error` while writing `path`, which needs `needed` bytes.
// ResourceExhausted for a full disk, with the bytes that are free on the disk
// of `fd`, for a quota and for a limit; otherwise that of ErrnoStatus.
absl::Status WriteError(int error, const std::string& path, uint64_t needed,
                        int fd);

// Gives the empty file `fd` its size and, where the file system can, the space
// for it, so that a full disk is found now and not at the end.
absl::Status ReserveSpace(int fd, const std::string& path, uint64_t size);

// Writes `src` at `offset` of the file `fd`, which was planned to have `size`
// bytes. OutOfRange beyond them.
absl::Status WriteFileAt(int fd, const std::string& path, uint64_t size,
                         uint64_t offset, absl::Span<const uint8_t> src);

}  // namespace monoquant

#endif  // MONOQUANT_IR_WRITE_FILE_H_
