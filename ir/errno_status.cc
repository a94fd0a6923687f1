#include "ir/errno_status.h"

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace monoquant {
namespace {

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::StatusCode::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return absl::StatusCode::kInvalidArgument;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

absl::Status ErrnoStatus(int error, absl::string_view path,
                         absl::string_view action) {
  // Abseil's own mapping of codes is another one; only its text is used, which
  // unlike strerror's is safe with threads.
  const absl::Status text =
      absl::ErrnoToStatus(error, absl::StrCat(path, ": ", action));
  return absl::Status(CodeOf(error), text.message());
}

}  // namespace monoquant
