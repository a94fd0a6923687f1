// The command line program: finds out where it stands, parses, runs one command
// and turns its status into a message and an exit code.

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/error_report.h"
#include "cli/flag_values.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/streams.h"
#include "core/kernels/kernels.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

bool IsSet(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && value[0] != '\0';
}

bool IsTerminal(int descriptor) {
  const char* term = std::getenv("TERM");
  return isatty(descriptor) == 1 && term != nullptr &&
         std::strcmp(term, "dumb") != 0;
}

// True for a pipe that nobody reads any more, as after `| head`.
bool ReaderIsGone(int descriptor) {
  pollfd state = {descriptor, POLLOUT, 0};
  return poll(&state, 1, 0) == 1 && (state.revents & POLLERR) != 0;
}

// Ends as other programs do whose reader has seen enough.
[[noreturn]] void EndByBrokenPipe() {
  signal(SIGPIPE, SIG_DFL);
  raise(SIGPIPE);
  _exit(128 + SIGPIPE);
}

// Under `bazel run` the working directory is Bazel's; paths are meant from
// where the user stands.
absl::Status EnterUserDirectory() {
  const char* directory = std::getenv("BUILD_WORKING_DIRECTORY");
  if (directory == nullptr || chdir(directory) == 0) return absl::OkStatus();
  return NotFoundError(directory, ": ", std::strerror(errno),
                       "; BUILD_WORKING_DIRECTORY must name a directory");
}

// --simd, or the variable.
absl::Status ChooseKernels(const RunArgs& run) {
  std::string name = run.simd;
  if (name.empty() && IsSet("MONOQUANT_SIMD")) {
    const absl::StatusOr<std::string> found =
        ParseSimd("MONOQUANT_SIMD", std::getenv("MONOQUANT_SIMD"));
    if (!found.ok()) return found.status();
    name = *found;
  }
  if (!name.empty()) UseKernels(name);
  return absl::OkStatus();
}

struct Runner {
  Streams& streams;

  absl::Status operator()(const InfoText& info) const {
    *streams.out << info.text;
    return absl::OkStatus();
  }
  absl::Status operator()(const QuantizeArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.transform.run));
    return RunQuantize(args, streams);
  }
  absl::Status operator()(const PlanArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.transform.run));
    return RunPlan(args, streams);
  }
  absl::Status operator()(const InspectArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.run));
    return RunInspect(args, streams);
  }
  absl::Status operator()(const CompareArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.run));
    return RunCompare(args, streams);
  }
  absl::Status operator()(const DequantizeArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.transform.run));
    return RunDequantize(args, streams);
  }
  absl::Status operator()(const ConvertArgs& args) const {
    MQ_RETURN_IF_ERROR(ChooseKernels(args.transform.run));
    return RunConvert(args, streams);
  }
  absl::Status operator()(const ScanArgs& args) const {
    return RunScan(args, streams);
  }
  absl::Status operator()(const VerifyArgs& args) const {
    return RunVerify(args, streams);
  }
};

absl::Status Run(const std::vector<std::string>& args,
                 const TerminalInfo& terminal, Streams& streams) {
  absl::Status status = EnterUserDirectory();
  if (!status.ok()) return status;
  const absl::StatusOr<Command> command = ParseFlags(args, terminal);
  if (!command.ok()) return command.status();
  status = std::visit(Runner{streams}, *command);
  if (!status.ok()) return status;
  streams.out->flush();
  if (streams.out->good()) return absl::OkStatus();
  if (ReaderIsGone(STDOUT_FILENO)) EndByBrokenPipe();
  return UnavailableError(
      "cannot write to standard output; free some disk space");
}

int Main(const std::vector<std::string>& args) {
  // A write beyond a limit, or to a closed pipe, is to fail like any other and
  // not to end the process before it has cleaned up.
  signal(SIGXFSZ, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  std::ios::sync_with_stdio(false);

  Streams streams;
  streams.out = &std::cout;
  streams.err = &std::cerr;
  streams.cancel = &WatchInterrupts();

  const bool terminal = IsTerminal(STDERR_FILENO);
  const absl::Status status =
      Run(args, TerminalInfo{terminal && !IsSet("CI")}, streams);
  EndUninterrupted();
  if (status.ok()) return 0;
  ErrorReportOptions options;
  options.json = WantsJson(args);
  options.color = terminal && !IsSet("NO_COLOR");
  ReportError(status, options, streams);
  return GetErrorRow(status.code()).exit_code;
}

}  // namespace
}  // namespace monoquant::cli

int main(int argc, char** argv) {
  return monoquant::cli::Main(
      std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
