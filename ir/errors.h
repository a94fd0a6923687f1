// One table for every way to fail.
//
// Functions return absl::Status. The code says what kind of failure it is and
// maps to the exit code of the command line, the name of the JavaScript error
// and the Python exception; the message names the file, the tensor, what was
// found and what was expected. A next step for the user, where there is one,
// is the last part of the message after "; ".

#ifndef MONOQUANT_IR_ERRORS_H_
#define MONOQUANT_IR_ERRORS_H_

#include <initializer_list>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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

// Makes errors of one code. The parts of a message are what absl::StrCat takes:
//
//   return DataLossError("tensor ", QuotedName(name), " has ", n, " bytes");
//
// Up to eight of them, as they are not templates, which would be compiled anew
// for each pair of lengths of the texts between the values.
class ErrorMaker {
 public:
  explicit constexpr ErrorMaker(absl::StatusCode code) : code_(code) {}

  absl::Status operator()(absl::string_view message) const;

  using Part = const absl::AlphaNum&;
  absl::Status operator()(Part a, Part b) const;
  absl::Status operator()(Part a, Part b, Part c) const;
  absl::Status operator()(Part a, Part b, Part c, Part d) const;
  absl::Status operator()(Part a, Part b, Part c, Part d, Part e) const;
  absl::Status operator()(Part a, Part b, Part c, Part d, Part e, Part f) const;
  absl::Status operator()(Part a, Part b, Part c, Part d, Part e, Part f,
                          Part g) const;
  absl::Status operator()(Part a, Part b, Part c, Part d, Part e, Part f,
                          Part g, Part h) const;

 private:
  absl::Status Join(std::initializer_list<absl::string_view> parts) const;

  absl::StatusCode code_;
};

inline constexpr ErrorMaker AbortedError(absl::StatusCode::kAborted);
inline constexpr ErrorMaker AlreadyExistsError(
    absl::StatusCode::kAlreadyExists);
inline constexpr ErrorMaker CancelledError(absl::StatusCode::kCancelled);
inline constexpr ErrorMaker DataLossError(absl::StatusCode::kDataLoss);
inline constexpr ErrorMaker DeadlineExceededError(
    absl::StatusCode::kDeadlineExceeded);
inline constexpr ErrorMaker FailedPreconditionError(
    absl::StatusCode::kFailedPrecondition);
inline constexpr ErrorMaker InternalError(absl::StatusCode::kInternal);
inline constexpr ErrorMaker InvalidArgumentError(
    absl::StatusCode::kInvalidArgument);
inline constexpr ErrorMaker NotFoundError(absl::StatusCode::kNotFound);
inline constexpr ErrorMaker OutOfRangeError(absl::StatusCode::kOutOfRange);
inline constexpr ErrorMaker PermissionDeniedError(
    absl::StatusCode::kPermissionDenied);
inline constexpr ErrorMaker ResourceExhaustedError(
    absl::StatusCode::kResourceExhausted);
inline constexpr ErrorMaker UnavailableError(absl::StatusCode::kUnavailable);
inline constexpr ErrorMaker UnimplementedError(
    absl::StatusCode::kUnimplemented);

// `status` with "PREFIX: " before its message; OK and an empty prefix change
// nothing.
absl::Status Annotate(absl::string_view prefix, const absl::Status& status);

}  // namespace monoquant

#endif  // MONOQUANT_IR_ERRORS_H_
