// A whole run in one call, for programs that need neither threads nor progress.

#ifndef MONOQUANT_EXPORTERS_WRITE_CHECKPOINT_H_
#define MONOQUANT_EXPORTERS_WRITE_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/job.h"
#include "core/plan.h"
#include "exporters/exporter.h"
#include "ir/byte_sink.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Makes the sink for an output of `size` bytes: CreateLocalSink, say.
using CreateSink =
    std::function<absl::StatusOr<std::unique_ptr<ByteSink>>(uint64_t size)>;

// Runs `plan`, which was made from the index of `reader`, with one worker, and
// commits the result to the sink. Memory is that of PeakMemory for one thread.
//
// Errors are those of Exporter::Layout, of the sink, of Job and of the reader;
// after any of them the sink is gone without a Commit, so nothing is left.
absl::Status WriteCheckpoint(const CheckpointReader& reader, const Plan& plan,
                             const Exporter& exporter,
                             const CreateSink& create_sink,
                             const JobOptions& options = {});

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_WRITE_CHECKPOINT_H_
