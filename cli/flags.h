// The command line: what was typed, as the arguments of one command.
//
// flags.cc and flag_mistakes.cc are the only files that know CLI11, and the
// former is the only one besides parallel.cc in which exceptions exist.

#ifndef MONOQUANT_CLI_FLAGS_H_
#define MONOQUANT_CLI_FLAGS_H_

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/compare_command.h"
#include "cli/convert_command.h"
#include "cli/dequantize_command.h"
#include "cli/inspect_command.h"
#include "cli/plan_command.h"
#include "cli/quantize_command.h"
#include "cli/scan_command.h"
#include "cli/verify_command.h"

namespace monoquant::cli {

// Text to print instead of doing something: --help, --version.
struct InfoText {
  std::string text;
};

using Command =
    std::variant<InfoText, QuantizeArgs, PlanArgs, InspectArgs, CompareArgs,
                 DequantizeArgs, ConvertArgs, ScanArgs, VerifyArgs>;

// What --progress auto depends on.
struct TerminalInfo {
  // A person looks at stderr, and a bar can be drawn there.
  bool can_draw_bar = false;
};

// `args` without the program's name. InvalidArgument, in one line with a next
// step, for anything that is not understood.
absl::StatusOr<Command> ParseFlags(const std::vector<std::string>& args,
                                   const TerminalInfo& terminal);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_FLAGS_H_
