// Bytes that live with the host: a File in a browser, a file under Node.

#ifndef MONOQUANT_WASM_HOST_IO_H_
#define MONOQUANT_WASM_HOST_IO_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/byte_sink.h"
#include "ir/byte_source.h"
#include "ir/json.h"

namespace monoquant {

// The files of an mq_open request; see there. Reads of them share one small
// cache. InvalidArgument for a request that is not as described.
//
// Unlike other sources these are not thread-safe: the module has no threads.
absl::StatusOr<CheckpointFiles> HostFiles(const Json& request);

// Sink number `sink` of the host. Nothing is visible before PutInPlace because
// the host is told to keep it so.
class HostSink : public ByteSink {
 public:
  HostSink(uint32_t sink, std::string name)
      : sink_(sink), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  absl::Status WriteAt(uint64_t offset, absl::Span<const uint8_t> src) override;

  // Nothing yet: the files of an output are put in place together.
  absl::Status Commit() override { return absl::OkStatus(); }

  // To be called once, when all sinks of an output are complete.
  absl::Status PutInPlace();

 private:
  const uint32_t sink_;
  const std::string name_;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_HOST_IO_H_
