#include "cli/output_file.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "exporters/program_checks.h"
#include "ir/errors.h"
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

// Without its dot.
std::string ExtensionOf(const fs::path& path) {
  const std::string extension = path.extension().string();
  return extension.empty() ? "" : extension.substr(1);
}

const ExporterRow* RowWithExtension(absl::string_view extension) {
  for (const ExporterRow& row : AllExporters()) {
    if (HasExtension(row, extension)) return &row;
  }
  return nullptr;
}

// What --for names, or null.
absl::StatusOr<const Program*> ProgramOf(const OutputArgs& args) {
  if (args.program.empty()) return nullptr;
  return FindProgram(args.program);
}

// The format that --to or --for states; null if neither does.
absl::StatusOr<const ExporterRow*> StatedFormat(const OutputArgs& args) {
  MQ_ASSIGN_OR_RETURN(const Program* program, ProgramOf(args));
  const ExporterRow* row = nullptr;
  if (!args.to.empty()) {
    MQ_ASSIGN_OR_RETURN(row, FindExporter(args.to));
  }
  if (program == nullptr) return row;
  MQ_ASSIGN_OR_RETURN(const absl::string_view format,
                      FormatFor(*program, args.to));
  return FindExporter(format);
}

// That of the input's weights.
absl::StatusOr<const ExporterRow*> FormatOf(const Input& input) {
  fs::path weights = input.path;
  if (input.is_directory) {
    weights = input.weight_files.empty() ? "" : input.weight_files.front();
  }
  const ExporterRow* row = RowWithExtension(ExtensionOf(weights));
  if (row != nullptr) return row;
  return FindExporter(kFallbackFormat);
}

// Beside the input: "dir/model.pt" with "int8" becomes "dir/model_int8.pt", and
// "dir" becomes "dir_int8".
absl::StatusOr<std::string> DefaultPath(const Input& input,
                                        const OutputTarget& target,
                                        absl::string_view suffix) {
  fs::path path = input.is_directory ? input.directory : input.path;
  // "dir/" names the directory, so the output lies beside it; "." and ".."
  // have no name to start from.
  if (!path.has_filename()) path = path.parent_path();
  const fs::path name = path.filename();
  if (name.empty() || name == "." || name == "..") {
    return InvalidArgumentError(
        input.path,
        ": no name for the output follows from this; give "
        "--output");
  }
  const fs::path stem = input.is_directory ? name : path.stem();
  std::string file = absl::StrCat(stem.string(), "_", suffix);
  if (!target.is_directory) {
    const std::string extension = ExtensionOf(path);
    absl::StrAppend(&file, ".",
                    HasExtension(*target.row, extension)
                        ? extension
                        : std::string(target.row->extensions.front()));
  }
  return (path.parent_path() / file).string();
}

// Decides between a file and a directory for the path that the user gave.
void SetKind(const Input& input, bool several_files, OutputTarget* target) {
  std::error_code error;
  const std::string& path = target->path;
  const bool has_slash = absl::EndsWith(path, "/");
  target->may_exist = has_slash && !input.is_directory;
  if (has_slash) {
    target->is_directory = true;
  } else if (input.is_directory || several_files) {
    target->is_directory = RowWithExtension(ExtensionOf(path)) == nullptr ||
                           fs::is_directory(path, error);
  }
}

// A format that is a model directory has no single file.
absl::Status MakeDirectory(OutputTarget* target) {
  if (target->row->quantization_config == nullptr || target->is_directory) {
    return absl::OkStatus();
  }
  if (RowWithExtension(ExtensionOf(target->path)) != nullptr) {
    return InvalidArgumentError(
        target->path, ": ", target->row->exporter->name(),
        " output is a directory, since config.json says how its weights are "
        "to be read; name a directory, as in 'model/'");
  }
  target->is_directory = true;
  return absl::OkStatus();
}

absl::Status CheckSeveralFiles(const OutputTarget& target) {
  if (!target.row->naming.has_shards) {
    return InvalidArgumentError(
        target.path, ": ", target.row->exporter->name(),
        " output is always one file; leave out --max-shard-size or choose "
        "another format with --to");
  }
  if (!target.is_directory) {
    return InvalidArgumentError(
        target.path,
        ": is the name of one file, but --max-shard-size may give several; "
        "name a directory, as in 'model/'");
  }
  return absl::OkStatus();
}

absl::Status CheckFreeFile(const std::string& path, bool force) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    return AlreadyExistsError(
        path,
        ": is a directory; name a file, or let the name end in "
        "'/' to write into the directory");
  }
  // Not followed: a link that leads nowhere is there all the same.
  const fs::file_status status = fs::symlink_status(path, error);
  if (fs::exists(status) && !force) {
    return AlreadyExistsError(
        path, ": the output exists already; add --force to replace it");
  }
  return absl::OkStatus();
}

absl::Status CheckFreeDirectory(const OutputTarget& target, bool force) {
  const std::string& path = target.path;
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (!fs::exists(status)) return absl::OkStatus();
  if (!fs::is_directory(path, error)) {
    return AlreadyExistsError(
        path,
        ": is there already and no directory; choose another "
        "output");
  }
  if (force || target.may_exist) return absl::OkStatus();
  return AlreadyExistsError(
      path,
      ": the output exists already; add --force to replace the files in it "
      "that have the names of new ones");
}

}  // namespace

absl::StatusOr<absl::string_view> DefaultScheme(const OutputArgs& args) {
  MQ_ASSIGN_OR_RETURN(const ExporterRow* row, StatedFormat(args));
  return row == nullptr ? absl::string_view() : row->default_scheme;
}

PlanOptions PlanOptionsFor(const OutputTarget& target) {
  return monoquant::PlanOptionsFor(target.row->storage, target.program);
}

absl::StatusOr<OutputTarget> ChooseOutput(const OutputArgs& args,
                                          const Input& input,
                                          absl::string_view suffix) {
  if (args.path.empty() && suffix.empty()) {
    return InvalidArgumentError(input.path,
                                ": no output given; add --output PATH");
  }
  const bool several_files = args.max_shard_bytes > 0;
  OutputTarget target;
  target.path = args.path;
  MQ_ASSIGN_OR_RETURN(target.program, ProgramOf(args));
  MQ_ASSIGN_OR_RETURN(target.row, StatedFormat(args));
  if (args.path.empty()) {
    target.is_directory = input.is_directory || several_files;
  } else {
    SetKind(input, several_files, &target);
  }
  if (target.row == nullptr) {
    MQ_ASSIGN_OR_RETURN(target.row, args.path.empty() || target.is_directory
                                        ? FormatOf(input)
                                        : FindExporterForPath(args.path));
  }
  MQ_RETURN_IF_ERROR(MakeDirectory(&target));
  if (args.path.empty()) {
    MQ_ASSIGN_OR_RETURN(target.path, DefaultPath(input, target, suffix));
  }
  if (several_files) MQ_RETURN_IF_ERROR(CheckSeveralFiles(target));
  return target;
}

absl::Status CheckOutput(const OutputTarget& target, const Input& input,
                         bool force) {
  const std::string& path = target.path;
  MQ_RETURN_IF_ERROR(CheckNotInput(path, input.files));
  if (input.is_directory) {
    MQ_RETURN_IF_ERROR(
        CheckNotInput(path, {input.directory.empty() ? "." : input.directory}));
  }
  MQ_RETURN_IF_ERROR(target.is_directory ? CheckFreeDirectory(target, force)
                                         : CheckFreeFile(path, force));
  fs::path parent = path;
  if (!parent.has_filename()) parent = parent.parent_path();
  parent = parent.parent_path();
  std::error_code error;
  if (!parent.empty() && !fs::is_directory(parent, error) &&
      error != std::errc::permission_denied) {
    return NotFoundError(
        path, ": ", parent.string(),
        " is no directory; create it or choose another output");
  }
  return absl::OkStatus();
}

absl::Status CheckNotInput(const std::string& output_path,
                           const std::vector<std::string>& input_files) {
  for (const std::string& file : input_files) {
    if (!SameFile(output_path, file)) continue;
    return AlreadyExistsError(
        output_path, ": the output is the input ", file,
        " itself, which is never overwritten; choose another output");
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
