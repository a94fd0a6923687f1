// Errors of the operating system as absl::Status.

#ifndef MONOQUANT_IR_ERRNO_STATUS_H_
#define MONOQUANT_IR_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace monoquant {

// "PATH: ACTION: text of the error", with the code of ir/errors.h that fits:
// NotFound, AlreadyExists, PermissionDenied, ResourceExhausted (no space,
// quota, file handles), InvalidArgument for names that cannot be, and
// Unavailable for everything else.
absl::Status ErrnoStatus(int error, absl::string_view path,
                         absl::string_view action);

}  // namespace monoquant

#endif  // MONOQUANT_IR_ERRNO_STATUS_H_
