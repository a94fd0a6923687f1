// What a job emits, checked and put together.

#ifndef MONOQUANT_CORE_TESTING_COLLECTED_OUTPUT_H_
#define MONOQUANT_CORE_TESTING_COLLECTED_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/job.h"
#include "core/testing/memory_reader.h"
#include "ir/manifest.h"

namespace monoquant::testing {

// Thread-safe while a job runs.
class CollectedOutput {
 public:
  explicit CollectedOutput(Manifest manifest);

  // To be given to a job. Refuses bytes outside of a tensor, bytes of a tied
  // tensor and bytes that were emitted before.
  Emit emit();

  // Checks that every byte came.
  absl::Status Complete() const;

  const std::vector<uint8_t>& bytes(size_t output) const {
    return bytes_[output];
  }
  const std::vector<std::vector<uint8_t>>& all() const { return bytes_; }

  // The output as a checkpoint, with its record.
  std::unique_ptr<MemoryReader> Open() const;

 private:
  absl::Status Take(size_t output, uint64_t offset,
                    absl::Span<const uint8_t> bytes);

  Manifest manifest_;
  std::mutex mutex_;
  std::vector<std::vector<uint8_t>> bytes_;
  std::vector<std::vector<uint8_t>> seen_;  // 1 for bytes that came
};

}  // namespace monoquant::testing

#endif  // MONOQUANT_CORE_TESTING_COLLECTED_OUTPUT_H_
