// Quantizes a file natively, with two threads, straight on the C++ interfaces:
// what the module's output is compared with.
//
// usage: native_quantize INPUT OUTPUT FORMAT RECIPE

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/job.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "exporters/exporter.h"
#include "exporters/output_writer.h"
#include "frontends/frontend.h"
#include "ir/byte_sink.h"
#include "ir/checkpoint.h"
#include "ir/json.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kChunkBytes = 64 << 10;

absl::Status RunPhase(Job& job, int phase) {
  absl::Status first;
  absl::Status second;
  const auto work = [&job, phase](absl::Status* status) {
    Job::Worker worker;
    for (;;) {
      const absl::StatusOr<bool> more = job.Step(phase, worker);
      if (!more.ok()) *status = more.status();
      if (!more.ok() || !*more) return;
    }
  };
  std::thread thread(work, &second);
  work(&first);
  thread.join();
  first.Update(second);
  return first;
}

absl::Status Quantize(const std::string& input, const std::string& output,
                      const std::string& format, const std::string& recipe) {
  MQ_ASSIGN_OR_RETURN(const CheckpointFiles files, OpenLocalCheckpoint(input));
  MQ_ASSIGN_OR_RETURN(const auto reader, OpenCheckpoint(files));
  MQ_ASSIGN_OR_RETURN(const Json recipe_json, ParseJson(recipe));
  MQ_ASSIGN_OR_RETURN(const Recipe parsed, RecipeFromJson(recipe_json));
  MQ_ASSIGN_OR_RETURN(Plan plan, MakePlan(reader->index(), parsed));
  MQ_ASSIGN_OR_RETURN(const ExporterRow* row, FindExporter(format));
  MQ_ASSIGN_OR_RETURN(FileLayout layout, row->exporter->Layout(plan.manifest));
  MQ_ASSIGN_OR_RETURN(const auto sink,
                      CreateLocalSink(output, layout.file_size, {}));

  const Manifest manifest = plan.manifest;
  OutputWriter writer(*row->exporter, manifest, std::move(layout), *sink);
  const Emit emit = [&writer](size_t tensor, uint64_t offset,
                              absl::Span<const uint8_t> bytes, uint32_t crc) {
    return writer.Write(tensor, offset, bytes, crc);
  };
  JobOptions options;
  options.chunk_bytes = kChunkBytes;
  MQ_ASSIGN_OR_RETURN(const auto job, Job::Create(reader.get(), std::move(plan),
                                                  emit, options));
  for (int phase = 0; phase < job->num_phases(); ++phase) {
    MQ_RETURN_IF_ERROR(RunPhase(*job, phase));
  }
  return writer.Finish();
}

}  // namespace
}  // namespace monoquant

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: native_quantize INPUT OUTPUT FORMAT RECIPE\n";
    return 2;
  }
  const absl::Status status =
      monoquant::Quantize(argv[1], argv[2], argv[3], argv[4]);
  if (!status.ok()) std::cerr << status << "\n";
  return status.ok() ? 0 : 1;
}
