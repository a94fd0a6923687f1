// Does to many files, in one process, what the command line does to one: opens
// and reads, scans, quantizes. For builds under the sanitizers, which take long
// to start.
//
//   try_files LIST
//
// LIST has a path on each line. Each is printed before it is tried, so that the
// last line tells where the process ended.

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "exporters/write_checkpoint.h"
#include "frontends/frontend.h"
#include "ir/byte_sink.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"
#include "tests/fuzz/fuzz_target.h"

namespace monoquant {
namespace {

// What is larger is a bomb for disks, and would only be copied here.
constexpr uint64_t kMaxOutput = 16 << 20;

absl::Status Quantize(const CheckpointFiles& files) {
  MQ_ASSIGN_OR_RETURN(const auto reader, OpenCheckpoint(files));
  Recipe recipe;
  recipe.min_elements = 0;
  recipe.nonfinite = Nonfinite::kZero;
  MQ_ASSIGN_OR_RETURN(const Plan plan, MakePlan(reader->index(), recipe));
  MQ_ASSIGN_OR_RETURN(const ExporterRow* row, FindExporter("torch"));
  std::string output;
  return WriteCheckpoint(
      *reader, plan, *row->exporter,
      [&](uint64_t size) -> absl::StatusOr<std::unique_ptr<ByteSink>> {
        if (size > kMaxOutput) {
          return absl::ResourceExhaustedError("too large for this test");
        }
        return std::make_unique<MemorySink>("out.pt", size, &output);
      });
}

void Try(const std::string& path) {
  const auto files = OpenLocalCheckpoint(path);
  if (!files.ok()) return fuzz::CheckMessage(files.status());
  fuzz::OpenAndRead(*files);
  const absl::Status status = Quantize(*files);
  if (!status.ok()) fuzz::CheckMessage(status);
}

}  // namespace
}  // namespace monoquant

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s LIST\n", argv[0]);
    return 2;
  }
  std::ifstream list(argv[1]);
  std::string path;
  while (std::getline(list, path)) {
    std::printf("%s\n", path.c_str());
    std::fflush(stdout);
    monoquant::Try(path);
  }
  return 0;
}
