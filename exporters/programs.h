// The programs that people load checkpoints with, and what each of them loads.

#ifndef MONOQUANT_EXPORTERS_PROGRAMS_H_
#define MONOQUANT_EXPORTERS_PROGRAMS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

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
  // FailedPrecondition, without the weight's name, for one that it has no
  // kernels for although its storage has a place for it
  // (PlanOptions::check_weight). Null if none is known.
  absl::Status (*check_weight)(QuantStorage storage, const QuantScheme& scheme,
                               absl::Span<const int64_t> shape) = nullptr;
};

// Every program. A new one is a row in programs.cc.
absl::Span<const Program> AllPrograms();

// All names, for messages: "vllm, sglang".
std::string ProgramNames();

// By --for name, whatever the case. InvalidArgument listing the known names.
absl::StatusOr<const Program*> FindProgram(absl::string_view name);

// The output format for the program: `to` if that is not empty, else its first.
// InvalidArgument, listing its formats, if it does not load `to`.
absl::StatusOr<absl::string_view> FormatFor(const Program& program,
                                            absl::string_view to);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAMS_H_
