// Where output bytes go. Offsets are planned before the first byte is written,
// so a sink is random-access and its size is known at the start.

#ifndef MONOQUANT_IR_BYTE_SINK_H_
#define MONOQUANT_IR_BYTE_SINK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace monoquant {

// An output of planned size. Nothing is visible under the final name before
// Commit; a sink that is destroyed without Commit leaves nothing behind.
// WriteAt is thread-safe for ranges that do not overlap; the rest is not.
class ByteSink {
 public:
  virtual ~ByteSink() = default;

  // What error messages call this output.
  virtual const std::string& name() const = 0;

  // Writes `src` at `offset`. Ranges never written read as zero.
  // ResourceExhausted if the disk is full, with the bytes needed and free;
  // Unavailable for any other device error.
  virtual absl::Status WriteAt(uint64_t offset,
                               absl::Span<const uint8_t> src) = 0;

  // Makes the output durable and puts it under its final name, whole.
  // To be called once, after the last WriteAt.
  virtual absl::Status Commit() = 0;
};

// An output in memory, for tests and embedders. The bytes appear in `*out` at
// Commit; `out` must outlive the sink.
class MemorySink : public ByteSink {
 public:
  MemorySink(std::string name, uint64_t size, std::string* out);

  const std::string& name() const override { return name_; }
  // OutOfRange beyond the planned size.
  absl::Status WriteAt(uint64_t offset, absl::Span<const uint8_t> src) override;
  absl::Status Commit() override;

 private:
  std::string name_;
  std::string bytes_;
  std::string* out_;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_BYTE_SINK_H_
