// Where a result goes: decided, and checked, before any work is done.

#ifndef MONOQUANT_CLI_OUTPUT_FILE_H_
#define MONOQUANT_CLI_OUTPUT_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/args.h"
#include "cli/input_file.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "exporters/programs.h"

namespace monoquant::cli {

struct OutputTarget {
  std::string path;
  const ExporterRow* row = nullptr;
  // What --for names; null if it is not given.
  const Program* program = nullptr;
  // A directory of files, which bears the side files of a model directory too.
  bool is_directory = false;
  // The directory may be there already: "DIR/" for an input that is a file, as
  // with any program that writes a file. The files in it are not replaced.
  bool may_exist = false;
};

// The path, kind and format of the output.
//
// Of a model directory, and with a largest size of shards, it is a directory;
// otherwise a file. A path that ends in a slash or names a directory is a
// directory in any case, and one with the extension of a format is a file.
//
// With an empty args.path: STEM_`suffix`.EXT beside the input, or STEM_`suffix`
// for a directory. The format is that of args.to, the first one of args.program
// or that of the output's extension; failing these, that of the input's weights
// if some format has their extension, or safetensors.
//
// InvalidArgument with an empty path and an empty suffix, where several files
// are asked for but the path or the format allows one only, and for a format
// that args.program does not load.
absl::StatusOr<OutputTarget> ChooseOutput(const OutputArgs& args,
                                          const Input& input,
                                          absl::string_view suffix);

// The scheme that the format of --to or --for has by default; empty if none is
// stated or it has none of its own. InvalidArgument for names that are not
// known, and for a format that the program does not load.
absl::StatusOr<absl::string_view> DefaultScheme(const OutputArgs& args);

// How weights are stored there, and what the program asks for.
PlanOptions PlanOptionsFor(const OutputTarget& target);

// Everything that can be known to be wrong with an output path before any work:
// it is the input itself, is there already (without `force`), or its directory
// is missing. Exit code 5 in every case.
absl::Status CheckOutput(const OutputTarget& target, const Input& input,
                         bool force);

// AlreadyExists if the output is one of `input_files`, however spelled or
// linked: a shard of the input, or the original that an .mqir points into. No
// flag allows that.
absl::Status CheckNotInput(const std::string& output_path,
                           const std::vector<std::string>& input_files);

// The exporter's line of Python with the path in it; empty if it has none.
std::string PythonHint(const ExporterRow& row, absl::string_view path);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_OUTPUT_FILE_H_
