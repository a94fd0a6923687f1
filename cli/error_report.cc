#include "cli/error_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/human.h"
#include "ir/errors.h"

namespace monoquant::cli {
namespace {

// What to do about a failure whose message does not say it: errors of the
// operating system, above all.
absl::string_view GeneralAdvice(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
      return "check the path";
    case absl::StatusCode::kPermissionDenied:
      return "check the permissions, or choose another path";
    case absl::StatusCode::kResourceExhausted:
      return "free some space, or choose another disk";
    case absl::StatusCode::kUnavailable:
      return "check the disk and try again";
    case absl::StatusCode::kDataLoss:
      return "copy or download the file again";
    case absl::StatusCode::kInternal:
      return "this is a bug in monoquant, please report it";
    default:
      return "";
  }
}

std::string WithNextStep(const absl::Status& status) {
  const absl::string_view advice = GeneralAdvice(status.code());
  if (advice.empty() || absl::StrContains(status.message(), "; ")) {
    return std::string(status.message());
  }
  return absl::StrCat(status.message(), "; ", advice);
}

}  // namespace

bool WantsJson(const std::vector<std::string>& args) {
  return std::find(args.begin(), args.end(), "--json") != args.end();
}

void ReportError(const absl::Status& status, const ErrorReportOptions& options,
                 Streams& streams) {
  const std::string message = WithNextStep(status);
  const char* label = options.color ? "\x1b[1;31merror:\x1b[0m " : "error: ";
  *streams.err << "monoquant: " << label << Printable(message) << std::endl;
  if (!options.json || streams.document_written) return;
  const ErrorRow& row = GetErrorRow(status.code());
  Json error;
  error.Set("code", row.name);
  error.Set("exit", row.exit_code);
  error.Set("message", message);
  Json json;
  json.Set("schema", "monoquant/error/1");
  json.Set("error", std::move(error));
  streams.WriteDocument(json);
  streams.out->flush();
}

}  // namespace monoquant::cli
