// One table for every way to fail.
//
// Functions return absl::Status. The code says what kind of failure it is and
// maps to the exit code of the command line, the name of the JavaScript error
// and the Python exception; the message names the file, the tensor, what was
// found and what was expected. A next step for the user, where there is one,
// is the last part of the message after "; ".

#ifndef MONOQUANT_IR_ERRORS_H_
#define MONOQUANT_IR_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

struct ErrorRow {
  absl::StatusCode code;
  int exit_code;
  absl::string_view name;     // of the JavaScript error and Python exception
  absl::string_view meaning;  // one line for docs/errors.md
};

// The table; docs/errors.md is checked against it.
//   exit 1  kInternal            a bug in monoquant
//   exit 2  kInvalidArgument     usage, recipe, rule
//   exit 3  kFailedPrecondition  cannot quantize (type, shape, NaN, group size)
//   exit 4  kAborted             a quality gate or a verification failed
//   exit 5  kNotFound, kAlreadyExists, kPermissionDenied, kResourceExhausted,
//           kUnavailable         input/output
//   exit 6  kDataLoss            malformed, damaged or unsafe input
//           kUnimplemented       a format or feature that is not read
//   exit 130 kCancelled          interrupted
absl::Span<const ErrorRow> ErrorTable();

// The row for `code`; codes outside the table get the row of kInternal.
const ErrorRow& GetErrorRow(absl::StatusCode code);

// `status` with "PREFIX: " before its message; OK and an empty prefix change
// nothing.
absl::Status Annotate(absl::string_view prefix, const absl::Status& status);

}  // namespace monoquant

#endif  // MONOQUANT_IR_ERRORS_H_
