// What is said about a command line that is not understood.

#ifndef MONOQUANT_CLI_FLAG_MISTAKES_H_
#define MONOQUANT_CLI_FLAG_MISTAKES_H_

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"

namespace monoquant::cli {

// All of these are InvalidArgument, in one line with a next step.

// CLI11's own complaints: a flag without its value, one given twice.
absl::Status ParseFailure(const CLI::App& app, const std::string& what);

// For what stands before the first known command, or without one.
absl::Status UnknownCommand(const CLI::App& app);

// For the first of the arguments that no flag of the command takes.
absl::Status UnexpectedArgument(const CLI::App& command);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_FLAG_MISTAKES_H_
