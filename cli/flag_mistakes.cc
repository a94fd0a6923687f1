#include "cli/flag_mistakes.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/suggest.h"
#include "ir/errors.h"

namespace monoquant::cli {

absl::Status ParseFailure(const CLI::App& app, const std::string& what) {
  std::string message = absl::StrReplaceAll(what, {{"\n", " "}, {"\r", " "}});
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  const std::string name =
      chosen.empty() ? "" : absl::StrCat(chosen[0]->get_name(), " ");
  return InvalidArgumentError(message, "; see 'monoquant ", name, "--help'");
}

absl::Status UnknownCommand(const CLI::App& app) {
  const std::vector<std::string> remaining = app.remaining();
  if (remaining.empty()) {
    return InvalidArgumentError("no command given; see 'monoquant --help'");
  }
  if (absl::StartsWith(remaining[0], "-")) {
    return InvalidArgumentError(
        "unknown flag '", remaining[0],
        "'; flags come after the command, as in 'monoquant "
        "quantize --model model.pt'");
  }
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) {
    names.push_back(command->get_name());
  }
  const auto name = Suggest(remaining[0], names);
  return InvalidArgumentError("unknown command '", remaining[0], "'; ",
                              name ? absl::StrCat("did you mean '", *name, "'?")
                                   : "'monoquant --help' lists the commands");
}

absl::Status UnexpectedArgument(const CLI::App& command) {
  const std::string argument = command.remaining()[0];
  if (!absl::StartsWith(argument, "-")) {
    return InvalidArgumentError("unexpected argument '", argument,
                                "'; see 'monoquant ", command.get_name(),
                                " --help'");
  }
  const std::string flag = argument.substr(0, argument.find('='));
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      flags.push_back(absl::StrCat("--", name));
    }
  }
  const auto name = Suggest(flag, flags);
  return InvalidArgumentError(
      "unknown flag '", flag, "'; ",
      name ? absl::StrCat("did you mean '", *name, "'?")
           : absl::StrCat("see 'monoquant ", command.get_name(), " --help'"));
}

}  // namespace monoquant::cli
