// Where a result goes: decided, and checked, before any work is done.

#ifndef MONOQUANT_CLI_OUTPUT_FILE_H_
#define MONOQUANT_CLI_OUTPUT_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/args.h"
#include "exporters/exporter.h"

namespace monoquant::cli {

struct OutputTarget {
  std::string path;
  const ExporterRow* row = nullptr;
};

// The path and format of the output. With an empty args.path:
// STEM_`suffix`.EXT beside `input_path`, where the extension is the input's if
// some format writes such files (and args.to does not say otherwise), that of
// the format in args.to, or "safetensors". InvalidArgument with an empty path
// and an empty suffix.
absl::StatusOr<OutputTarget> ChooseOutput(const OutputArgs& args,
                                          const std::string& input_path,
                                          absl::string_view suffix);

// Everything that can be known to be wrong with an output path before the input
// is opened: it is the input itself, a directory, there already (without
// `force`), or its directory is missing. Exit code 5 in every case.
absl::Status CheckOutput(const OutputTarget& target,
                         const std::string& input_path, bool force);

// AlreadyExists if the output is one of `input_files`, however spelled or
// linked: a shard of the input, or the original that an .mqir points into. No
// flag allows that.
absl::Status CheckNotInput(const std::string& output_path,
                           const std::vector<std::string>& input_files);

// The exporter's line of Python with the path in it; empty if it has none.
std::string PythonHint(const ExporterRow& row, absl::string_view path);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_OUTPUT_FILE_H_
