#include "ir/errors.h"

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"

namespace monoquant {
namespace {

using Code = absl::StatusCode;

// The first row is the answer for codes that have none.
constexpr ErrorRow kRows[] = {
    {Code::kInternal, 1, "InternalError", "a bug in monoquant"},
    {Code::kInvalidArgument, 2, "UsageError",
     "a flag, recipe or rule that makes no sense"},
    {Code::kFailedPrecondition, 3, "CannotQuantizeError",
     "the request does not fit the tensor: its type, shape or values"},
    {Code::kAborted, 4, "QualityError",
     "a quality gate or a verification failed"},
    {Code::kNotFound, 5, "NotFoundError", "a file or directory does not exist"},
    {Code::kAlreadyExists, 5, "AlreadyExistsError",
     "the output exists and may not be replaced"},
    {Code::kPermissionDenied, 5, "PermissionDeniedError",
     "the system refuses access to a file or directory"},
    {Code::kResourceExhausted, 5, "ResourceExhaustedError",
     "not enough disk space, quota or memory"},
    {Code::kUnavailable, 5, "UnavailableError",
     "a device failed while reading or writing"},
    {Code::kDataLoss, 6, "MalformedInputError",
     "the input is malformed, damaged or unsafe"},
    {Code::kUnimplemented, 6, "UnsupportedError",
     "a format or feature that monoquant does not read"},
    // The code that says: not done in time, which may be given another time.
    {Code::kDeadlineExceeded, 7, "IncompleteError",
     "the run stopped before its end; the same command goes on from there"},
    {Code::kCancelled, 130, "CancelledError", "interrupted"},
};

}  // namespace

absl::Span<const ErrorRow> ErrorTable() { return kRows; }

const ErrorRow& GetErrorRow(absl::StatusCode code) {
  for (const ErrorRow& row : kRows) {
    if (row.code == code) return row;
  }
  return kRows[0];
}

absl::Status ErrorMaker::operator()(absl::string_view message) const {
  return absl::Status(code_, message);
}

absl::Status ErrorMaker::operator()(Part a, Part b) const {
  return Join({a.Piece(), b.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c) const {
  return Join({a.Piece(), b.Piece(), c.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c, Part d) const {
  return Join({a.Piece(), b.Piece(), c.Piece(), d.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c, Part d,
                                    Part e) const {
  return Join({a.Piece(), b.Piece(), c.Piece(), d.Piece(), e.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c, Part d, Part e,
                                    Part f) const {
  return Join(
      {a.Piece(), b.Piece(), c.Piece(), d.Piece(), e.Piece(), f.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c, Part d, Part e,
                                    Part f, Part g) const {
  return Join({a.Piece(), b.Piece(), c.Piece(), d.Piece(), e.Piece(), f.Piece(),
               g.Piece()});
}

absl::Status ErrorMaker::operator()(Part a, Part b, Part c, Part d, Part e,
                                    Part f, Part g, Part h) const {
  return Join({a.Piece(), b.Piece(), c.Piece(), d.Piece(), e.Piece(), f.Piece(),
               g.Piece(), h.Piece()});
}

absl::Status ErrorMaker::Join(
    std::initializer_list<absl::string_view> parts) const {
  std::string message;
  for (const absl::string_view part : parts) message.append(part);
  return absl::Status(code_, message);
}

absl::Status Annotate(absl::string_view prefix, const absl::Status& status) {
  if (status.ok() || prefix.empty()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(prefix, ": ", status.message()));
}

}  // namespace monoquant
