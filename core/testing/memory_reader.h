// A checkpoint in memory.

#ifndef MONOQUANT_CORE_TESTING_MEMORY_READER_H_
#define MONOQUANT_CORE_TESTING_MEMORY_READER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant::testing {

// Build it, then read it: Add* and the index must not change while it is used.
class MemoryReader : public CheckpointReader {
 public:
  MemoryReader() {
    index_.container = "memory";
    index_.path = "dir/model.test";
  }

  // Adds a tensor and returns its index. `values` are cast to `dtype`, which is
  // a float type.
  size_t Add(absl::string_view name, Shape shape,
             absl::Span<const float> values, DType dtype = DType::kF32);
  size_t AddBytes(absl::string_view name, DType dtype, Shape shape,
                  std::vector<uint8_t> bytes);
  // A tensor that shares the bytes of an earlier one.
  size_t AddTie(absl::string_view name, size_t tie);

  CheckpointIndex& mutable_index() { return index_; }
  // Makes every Read of this tensor fail.
  void Break(size_t tensor) { broken_ = tensor; }

  // The most bytes that one Read asked for.
  uint64_t largest_read() const { return reads_->largest; }
  // All bytes that were read.
  uint64_t bytes_read() const { return reads_->bytes; }
  const std::vector<uint8_t>& bytes(size_t tensor) const {
    return bytes_[tensor];
  }

  const CheckpointIndex& index() const override { return index_; }
  absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                    absl::Span<uint8_t> dst) const override;
  std::optional<FileExtent> Locate(size_t tensor) const override;

 private:
  struct Reads {
    std::atomic<uint64_t> largest{0};
    std::atomic<uint64_t> bytes{0};
  };

  CheckpointIndex index_;
  std::vector<std::vector<uint8_t>> bytes_;
  size_t broken_ = kNoTie;
  std::unique_ptr<Reads> reads_ = std::make_unique<Reads>();
};

}  // namespace monoquant::testing

#endif  // MONOQUANT_CORE_TESTING_MEMORY_READER_H_
