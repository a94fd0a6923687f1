// Checkpoints of any size whose weights are zeros that are stored nowhere.

#ifndef MONOQUANT_TESTS_BENCH_SPARSE_CHECKPOINT_H_
#define MONOQUANT_TESTS_BENCH_SPARSE_CHECKPOINT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"

namespace monoquant::bench {

// A file: what is not in a piece is zero.
struct SparseFile {
  uint64_t size = 0;
  std::map<uint64_t, std::string> pieces;  // by offset, apart

  // What an index reader cannot do without.
  uint64_t IndexBytes() const;
};

// `count` float tensors of `elements` each, named as those of a language model
// are.
SparseFile SparseTorchZip(size_t count, uint64_t elements);
SparseFile SparseSafetensors(size_t count, uint64_t elements);

// Reads from a SparseFile in memory.
class SparseSource : public ByteSource {
 public:
  SparseSource(std::string name, SparseFile file)
      : name_(std::move(name)), file_(std::move(file)) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return file_.size; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override;

 private:
  std::string name_;
  SparseFile file_;
};

// Passes reads on and counts their bytes.
class CountingSource : public ByteSource {
 public:
  explicit CountingSource(std::shared_ptr<const ByteSource> base)
      : base_(std::move(base)) {}

  const std::string& name() const override { return base_->name(); }
  uint64_t size() const override { return base_->size(); }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    bytes_read_ += dst.size();
    return base_->ReadAt(offset, dst);
  }

  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::shared_ptr<const ByteSource> base_;
  mutable std::atomic<uint64_t> bytes_read_ = 0;
};

// A checkpoint of this one file.
CheckpointFiles FilesOf(std::shared_ptr<ByteSource> source);

}  // namespace monoquant::bench

#endif  // MONOQUANT_TESTS_BENCH_SPARSE_CHECKPOINT_H_
