#include "cli/output_file.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kFallbackFormat = "safetensors";

bool HasExtension(const ExporterRow& row, absl::string_view extension) {
  return std::any_of(row.extensions.begin(), row.extensions.end(),
                     [&](absl::string_view each) {
                       return absl::EqualsIgnoreCase(each, extension);
                     });
}

// "dir/model.pt" with "int8" becomes "dir/model_int8.pt".
absl::StatusOr<OutputTarget> DefaultOutput(const std::string& to,
                                           const std::string& input_path,
                                           absl::string_view suffix) {
  fs::path input(input_path);
  // "dir/" names the directory, so the output lies beside it; "." and ".."
  // have no name to start from.
  if (!input.has_filename()) input = input.parent_path();
  std::error_code error;
  const bool is_directory = fs::is_directory(input, error);
  const fs::path name = input.filename();
  if (name.empty() || name == "." || name == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat(input_path,
                     ": no name for the output follows from this; give "
                     "--output"));
  }
  const fs::path stem = is_directory ? name : input.stem();
  std::string extension = is_directory ? "" : input.extension().string();
  if (!extension.empty()) extension.erase(0, 1);

  OutputTarget target;
  if (!to.empty()) {
    MQ_ASSIGN_OR_RETURN(target.row, FindExporter(to));
  } else {
    for (const ExporterRow& row : AllExporters()) {
      if (HasExtension(row, extension)) target.row = &row;
    }
    if (target.row == nullptr) {
      MQ_ASSIGN_OR_RETURN(target.row, FindExporter(kFallbackFormat));
    }
  }
  if (!HasExtension(*target.row, extension)) {
    extension = std::string(target.row->extensions.front());
  }
  const std::string file =
      absl::StrCat(stem.string(), "_", suffix, ".", extension);
  target.path = (input.parent_path() / file).string();
  return target;
}

}  // namespace

absl::StatusOr<OutputTarget> ChooseOutput(const OutputArgs& args,
                                          const std::string& input_path,
                                          absl::string_view suffix) {
  if (args.path.empty() && suffix.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(input_path, ": no output given; add --output FILE"));
  }
  if (args.path.empty()) return DefaultOutput(args.to, input_path, suffix);
  OutputTarget target;
  target.path = args.path;
  if (args.to.empty()) {
    MQ_ASSIGN_OR_RETURN(target.row, FindExporterForPath(args.path));
  } else {
    MQ_ASSIGN_OR_RETURN(target.row, FindExporter(args.to));
  }
  return target;
}

absl::Status CheckOutput(const OutputTarget& target,
                         const std::string& input_path, bool force) {
  const std::string& path = target.path;
  MQ_RETURN_IF_ERROR(CheckNotInput(path, {input_path}));
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, ": is a directory; give the output a file name"));
  }
  // Not followed: a link that leads nowhere is there all the same.
  const fs::file_status status = fs::symlink_status(path, error);
  if (fs::exists(status) && !force) {
    return absl::AlreadyExistsError(absl::StrCat(
        path, ": the output exists already; add --force to replace it"));
  }
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty() && !fs::is_directory(parent, error) &&
      error != std::errc::permission_denied) {
    return absl::NotFoundError(
        absl::StrCat(path, ": ", parent.string(),
                     " is no directory; create it or choose another output"));
  }
  return absl::OkStatus();
}

absl::Status CheckNotInput(const std::string& output_path,
                           const std::vector<std::string>& input_files) {
  for (const std::string& file : input_files) {
    if (!SameFile(output_path, file)) continue;
    return absl::AlreadyExistsError(absl::StrCat(
        output_path, ": the output is the input ", file,
        " itself, which is never overwritten; choose another output"));
  }
  return absl::OkStatus();
}

std::string PythonHint(const ExporterRow& row, absl::string_view path) {
  const std::string escaped =
      absl::StrReplaceAll(path, {{"\\", "\\\\"}, {"\"", "\\\""}});
  return absl::StrReplaceAll(row.python_hint,
                             {{"PATH", absl::StrCat("\"", escaped, "\"")}});
}

}  // namespace monoquant::cli
