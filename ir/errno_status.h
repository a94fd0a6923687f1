// Errors of the operating system as absl::Status.

#ifndef MONOQUANT_IR_ERRNO_STATUS_H_
#define MONOQUANT_IR_ERRNO_STATUS_H_

#include <cerrno>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace monoquant {

// "PATH: ACTION: text of the error", with the code of ir/errors.h that fits:
// NotFound, AlreadyExists, PermissionDenied, ResourceExhausted (no space,
// quota, file handles), InvalidArgument for names that cannot be, and
// Unavailable for everything else.
absl::Status ErrnoStatus(int error, absl::string_view path,
                         absl::string_view action);

// Calls `function` until it is not interrupted. `function` returns 0 or sets
// errno; the result is 0 or that errno.
template <typename Function>
int RetryOnInterrupt(Function function) {
  int result;
  do {
    result = function() == 0 ? 0 : errno;
  } while (result == EINTR);
  return result;
}

}  // namespace monoquant

#endif  // MONOQUANT_IR_ERRNO_STATUS_H_
