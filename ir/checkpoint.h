// What a checkpoint holds, and the interface through which every container is
// read.

#ifndef MONOQUANT_IR_CHECKPOINT_H_
#define MONOQUANT_IR_CHECKPOINT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/shape.h"

namespace monoquant {

inline constexpr size_t kNoTie = static_cast<size_t>(-1);

// One tensor as the file's index describes it.
struct TensorInfo {
  std::string name;  // unique within the checkpoint, UTF-8
  DType dtype = DType::kF32;
  Shape shape;
  // Bytes of the contiguous, row-major, little-endian tensor.
  uint64_t byte_size = 0;
  // The first tensor with exactly the same elements in the same storage (a tied
  // weight), or kNoTie. Always smaller than this tensor's own index, and the
  // tensor it points to has no tie itself.
  size_t tie = kNoTie;
  // Class of the module that owns it ("Linear", "LSTM") where the file says so.
  std::string module_kind;
};

// What an index may hold, whatever the container; each is named in its error.
// The largest checkpoints in use have some 150,000 tensors.
struct IndexLimits {
  size_t tensors = 250'000;
  size_t name_bytes = size_t{32} << 20;  // of all tensors together
  size_t dims = 2'000'000;               // of all tensors together
};

// Counts tensors against these limits. Readers count while they read, since
// few bytes of a hostile file can describe many tensors.
class IndexBudget {
 public:
  explicit IndexBudget(const IndexLimits& limits = {}) : limits_(limits) {}

  // DataLoss, without the file's name, if one more tensor is too much.
  absl::Status Add(absl::string_view name, size_t rank);

 private:
  const IndexLimits limits_;
  size_t tensors_ = 0;
  size_t name_bytes_ = 0;
  size_t dims_ = 0;
};

// Where a tensor's contiguous bytes lie as they are, if they do.
struct FileExtent {
  std::string file;  // bare name among the checkpoint's files
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Everything known after opening, from the index alone.
struct CheckpointIndex {
  // "torch", "safetensors", "safetensors-sharded", "mqir", ...
  std::string container;
  // What the user named, for messages.
  std::string path;
  // In the order of the file (that of the pickled dict; by offset in
  // safetensors).
  std::vector<TensorInfo> tensors;
  // Text metadata of the container (safetensors' __metadata__ without
  // monoquant's own keys), ordered by key.
  std::vector<std::pair<std::string, std::string>> metadata;
  // Which of the tensors are codes, scales and zero points of what others. In a
  // file of monoquant's own it is the record that lies in it; with weights that
  // another program quantized, what the reader has found out (its version is
  // empty). Empty if there is neither. Weights that are listed as the floats
  // that they stand for are not in it.
  QuantRecord quant;
  // Path of the dict that was taken as the state dict ("model"); empty for the
  // top level.
  std::string root;
  // The classes and functions that pickles in it name, each once, in the order
  // of appearance: "collections.OrderedDict". Nothing has been looked up or
  // called. At most kMaxGlobals.
  static constexpr size_t kMaxGlobals = 1000;
  std::vector<std::string> globals;
  // Things the user may want to know: ignored entries, classes not needed.
  std::vector<std::string> notes;
};

// An open checkpoint. Opening read the index and nothing else.
// Thread-safe. Readers keep their files open until destroyed.
class CheckpointReader {
 public:
  virtual ~CheckpointReader() = default;

  virtual const CheckpointIndex& index() const = 0;

  // Reads elements [first, first + count) of tensor `tensor` in row-major order
  // into `dst`, which must have exactly their size in bytes, as contiguous
  // little-endian values whatever the strides and byte order of the file. For
  // types below 8 bits `first` and `count` must cut at byte boundaries.
  //
  // InvalidArgument for a range that does not exist; DataLoss, naming file and
  // tensor, where the file is damaged.
  virtual absl::Status Read(size_t tensor, uint64_t first, uint64_t count,
                            absl::Span<uint8_t> dst) const = 0;

  // Where the bytes that Read would give lie in the file unchanged; nullopt
  // where they do not (strided, compressed, big-endian, computed).
  virtual std::optional<FileExtent> Locate(size_t tensor) const = 0;
};

// Which bytes of a contiguous tensor hold some of its elements.
struct ByteRange {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The bytes of elements [first, first + count): the checks that every Read
// starts with. InvalidArgument, naming the tensor, if they do not exist or do
// not lie between byte boundaries.
absl::StatusOr<ByteRange> ElementBytes(const TensorInfo& tensor, uint64_t first,
                                       uint64_t count);

// Checks what every reader promises of its index: the limits, unique names,
// byte sizes that follow from dtype and shape, ties that point backwards at
// tensors of equal dtype and shape, a quantization record that fits (Validate
// there). Called by every reader once, at the end of opening. DataLoss with the
// path and the tensor's name.
absl::Status ValidateIndex(const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_IR_CHECKPOINT_H_
