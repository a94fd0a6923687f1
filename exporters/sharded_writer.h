// An OutputWriter for tensors that are spread over several files.

#ifndef MONOQUANT_EXPORTERS_SHARDED_WRITER_H_
#define MONOQUANT_EXPORTERS_SHARDED_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/finished_piece.h"
#include "exporters/exporter.h"
#include "exporters/shards.h"
#include "ir/byte_sink.h"

namespace monoquant {

// A shard with its place.
struct ShardOutput {
  const Shard* shard;
  FileLayout layout;  // exporter.Layout(shard->manifest)
  ByteSink* sink;
};

class ShardedWriter {
 public:
  // `exporter` and what `outputs` point to must outlive the writer. `outputs`
  // are all shards of one manifest.
  ShardedWriter(const Exporter& exporter, std::vector<ShardOutput> outputs);
  ~ShardedWriter();

  // As OutputWriter::Write; `output` counts in the whole manifest. With its
  // last byte a shard is finished, its sink committed and closed: where tensors
  // come in their order, few shards are open at a time. So the sinks should be
  // such whose files appear together later (ir/local_directory.h).
  absl::Status Write(size_t output, uint64_t offset,
                     absl::Span<const uint8_t> bytes, uint32_t crc);

  // As OutputWriter::Adopt; may finish a shard likewise.
  absl::Status Adopt(const FinishedRange& range);

  // The shard that holds output tensor `output`, and its number there.
  std::pair<size_t, size_t> Find(size_t output) const;

  // Finishes the shards that have no payload, and checks that all are complete.
  absl::Status Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_SHARDED_WRITER_H_
