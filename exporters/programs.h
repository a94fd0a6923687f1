// The programs that people load checkpoints with, and what each of them loads.

#ifndef MONOQUANT_EXPORTERS_PROGRAMS_H_
#define MONOQUANT_EXPORTERS_PROGRAMS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace monoquant {

struct Program {
  // The value of --for: "vllm".
  absl::string_view name;
  // As it calls itself: "vLLM".
  absl::string_view title;
  // The output formats that it loads, by their names in --to. The first one is
  // what --for alone takes.
  absl::Span<const absl::string_view> formats;
  // Those that its sources have a loader for, which is not tested with ours.
  absl::Span<const absl::string_view> untested = {};
  // Whether it lays weights side by side that have the same input, and whether
  // it has all experts of a layer in one tensor, so that they need one scheme
  // (core/siblings.h).
  bool fuses_weights = false;
  bool fuses_experts = false;
};

// Every program. A new one is a row in programs.cc; what it can do with weights
// in these formats is in program_limits.cc.
absl::Span<const Program> AllPrograms();

// All names, for messages: "vllm, sglang".
std::string ProgramNames();

// By --for name, whatever the case. InvalidArgument listing the known names.
absl::StatusOr<const Program*> FindProgram(absl::string_view name);

// The output format for the program: `to` if that is not empty, else its first.
// InvalidArgument, listing its formats, if it is not known to load `to`.
absl::StatusOr<absl::string_view> FormatFor(const Program& program,
                                            absl::string_view to);

// Whether its sources have a loader for the format that is untested.
bool IsUntested(const Program& program, absl::string_view format);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAMS_H_
