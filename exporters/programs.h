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
  // Whether it lays weights side by side that have the same input, and all
  // experts of a layer, so that they need one scheme (core/siblings.h).
  bool fuses_weights = false;
};

// Every program. A new one is a row in programs.cc.
absl::Span<const Program> AllPrograms();

// All names, for messages: "vllm, sglang".
std::string ProgramNames();

// By --for name. InvalidArgument listing the known names.
absl::StatusOr<const Program*> FindProgram(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAMS_H_
