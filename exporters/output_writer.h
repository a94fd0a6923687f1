// Takes payload in any order from any thread, writes it at its planned place
// and keeps the checksums that the index needs.

#ifndef MONOQUANT_EXPORTERS_OUTPUT_WRITER_H_
#define MONOQUANT_EXPORTERS_OUTPUT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/finished_piece.h"
#include "exporters/exporter.h"
#include "ir/byte_sink.h"
#include "ir/manifest.h"

namespace monoquant {

class OutputWriter {
 public:
  // `exporter`, `manifest` and `sink` must outlive the writer. `layout` is what
  // exporter.Layout(manifest) gave.
  OutputWriter(const Exporter& exporter, const Manifest& manifest,
               FileLayout layout, ByteSink& sink);
  ~OutputWriter();

  // Writes `bytes`, whose CRC-32 is `crc`, of tensor `output` from byte
  // `offset` of that tensor on. Thread-safe. OutOfRange (a bug in the caller)
  // beyond the tensor. This is what a Job emits to. After a failure Finish
  // fails too.
  absl::Status Write(size_t output, uint64_t offset,
                     absl::Span<const uint8_t> bytes, uint32_t crc);

  // The same for bytes that are at their place already.
  absl::Status Adopt(const FinishedRange& range);

  // Checks that every byte of every tensor was written exactly once (Internal
  // otherwise), writes the index and commits the sink.
  absl::Status Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_OUTPUT_WRITER_H_
