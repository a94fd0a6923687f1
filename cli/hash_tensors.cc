#include "cli/hash_tensors.h"

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "cli/parallel.h"
#include "cli/timer.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/sha256.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

constexpr uint64_t kPieceBits = uint64_t{8} << 20;

// A multiple of eight elements, so that pieces of any type begin at a byte.
uint64_t PieceElements(DType dtype) {
  return kPieceBits / static_cast<uint64_t>(GetDTypeInfo(dtype).bits) / 8 * 8;
}

absl::StatusOr<std::string> HashTensor(const CheckpointReader& reader,
                                       size_t tensor,
                                       const std::atomic<bool>& cancel,
                                       std::atomic<uint64_t>& bytes_done) {
  const TensorInfo& info = reader.index().tensors[tensor];
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(info.shape));
  const auto bits = static_cast<uint64_t>(GetDTypeInfo(info.dtype).bits);
  const uint64_t piece = PieceElements(info.dtype);
  std::vector<uint8_t> buffer(std::min(elements, piece) * bits / 8);

  Sha256 sha;
  for (uint64_t first = 0; first < elements; first += piece) {
    if (cancel.load(std::memory_order_relaxed)) {
      return CancelledError(kInterrupted);
    }
    const uint64_t count = std::min(piece, elements - first);
    const absl::Span<uint8_t> bytes =
        absl::MakeSpan(buffer).first(count * bits / 8);
    MQ_RETURN_IF_ERROR(reader.Read(tensor, first, count, bytes));
    sha.Add(bytes);
    bytes_done.fetch_add(bytes.size(), std::memory_order_relaxed);
  }
  return sha.ToHex();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> HashTensors(
    const CheckpointReader& reader, absl::Span<const size_t> tensors,
    int threads, const std::atomic<bool>& cancel, Progress& progress) {
  uint64_t bytes_total = 0;
  for (const size_t tensor : tensors) {
    bytes_total += reader.index().tensors[tensor].byte_size;
  }
  std::atomic<uint64_t> bytes_done{0};
  std::vector<std::string> hashes(tensors.size());
  const Timer timer;
  const auto work = [&](size_t item, int) -> absl::Status {
    MQ_ASSIGN_OR_RETURN(hashes[item],
                        HashTensor(reader, tensors[item], cancel, bytes_done));
    return absl::OkStatus();
  };
  const auto tick = [&] {
    progress.Update(bytes_done, bytes_total, timer.seconds());
  };
  MQ_RETURN_IF_ERROR(ParallelFor(tensors.size(), threads, cancel, work, tick));
  return hashes;
}

}  // namespace monoquant::cli
