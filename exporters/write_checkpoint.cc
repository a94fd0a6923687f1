#include "exporters/write_checkpoint.h"

#include <cstddef>

#include "absl/types/span.h"
#include "exporters/output_writer.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::Status WriteCheckpoint(const CheckpointReader& reader, const Plan& plan,
                             const Exporter& exporter,
                             const CreateSink& create_sink,
                             const JobOptions& options) {
  MQ_ASSIGN_OR_RETURN(const FileLayout layout, exporter.Layout(plan.manifest));
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<ByteSink> sink,
                      create_sink(layout.file_size));
  OutputWriter writer(exporter, plan.manifest, layout, *sink);
  const auto emit = [&writer](size_t output, uint64_t offset,
                              absl::Span<const uint8_t> bytes, uint32_t crc) {
    return writer.Write(output, offset, bytes, crc);
  };
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<Job> job,
                      Job::Create(&reader, plan, emit, options));
  MQ_RETURN_IF_ERROR(RunToEnd(*job));
  return writer.Finish();
}

}  // namespace monoquant
