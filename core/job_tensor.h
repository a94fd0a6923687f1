// One tensor of a running job: does its pieces.

#ifndef MONOQUANT_CORE_JOB_TENSOR_H_
#define MONOQUANT_CORE_JOB_TENSOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/error_stats.h"
#include "core/finished_piece.h"
#include "core/global_scale.h"
#include "core/job.h"
#include "core/nested_scales.h"
#include "core/observers/observer.h"
#include "core/pieces.h"
#include "core/plan.h"
#include "core/qparams.h"
#include "core/tensor_coder.h"
#include "core/word_order.h"
#include "ir/checkpoint.h"
#include "ir/marks.h"

namespace monoquant {

// Bytes that only grow, and are not copied when they do.
class GrowingBuffer {
 public:
  absl::Span<uint8_t> Get(uint64_t size);

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  uint64_t capacity_ = 0;
};

// Takes the bytes of the piece that is being done, as Emit does.
using EmitPiece = absl::FunctionRef<absl::Status(
    size_t output, uint64_t offset, absl::Span<const uint8_t> bytes)>;

// What one worker needs to do a piece of any tensor.
struct JobBuffers {
  GrowingBuffer input;
  GrowingBuffer codes;
  std::vector<QParams> params;
  std::vector<float> scales;
  std::vector<uint8_t> stored_scales;
  std::vector<uint8_t> zero_points;
  NestedScales nested;
  float values[kLargestTile];
  uint8_t levels[kLargestTile];
  float decoded[kTileElements];
  // Of the piece that is being done, for JobOptions::on_finished.
  FinishedPiece finished;
};

// What is known of one finished piece.
struct PieceResult {
  ErrorStats error;
  uint64_t nonfinite = 0;
};
static_assert(sizeof(PieceResult) <= kResultBytes);

// Pieces may be done in any order and at the same time by workers with buffers
// of their own; but all Observe before the first Write, those of all tensors
// with the same global scale.
class JobTensor {
 public:
  // `reader`, `plan`, which holds `tensor`, and the global scale of its set,
  // nullptr where the scheme has none, must outlive this.
  JobTensor(const CheckpointReader& reader, const Plan& plan,
            const TensorPlan& tensor, GlobalScale* global_scale,
            uint64_t chunk_bytes, bool measure_errors);

  const TensorPlan& plan() const { return tensor_; }
  const TensorPieces& pieces() const { return pieces_; }

  // Takes over what an earlier job has finished. InvalidArgument if there is no
  // such piece. To be called before all else.
  absl::Status Restore(const FinishedPiece& finished);

  // Whether there is nothing left to do for a piece; for its first trip and
  // its second one, or the only one.
  bool IsObserved() const {
    if (global_scale_ != nullptr) return !global_scale_->is_needed();
    return unfinished_ == 0 && (scales_written_ || scale_sum_ != nullptr);
  }
  bool IsWritten(uint64_t index) const {
    return !written_.empty() && written_[static_cast<size_t>(index)];
  }

  // Input bytes of piece `index`.
  uint64_t BytesOf(uint64_t index) const;

  // For tensors of two trips: gathers the statistics of a piece, or its largest
  // magnitude for the global scale, or its scales for their offset. True for
  // the call that completes scales and zero points and emits them, unless these
  // were restored.
  absl::StatusOr<bool> Observe(uint64_t index, EmitPiece emit,
                               JobBuffers& buffers);

  // Emits the bytes that a piece becomes.
  absl::Status Write(uint64_t index, EmitPiece emit, JobBuffers& buffers);

  // Of a piece that has been written; empty for tensors that are copied.
  PieceResult ResultOf(uint64_t index) const;

  // After the last piece: the sum over all, in order.
  PieceResult Result() const;

 private:
  // A piece that has been read.
  struct Piece {
    uint64_t index = 0;
    ElementRange range;
    absl::Span<const uint8_t> input;
  };

  // A part of a piece, as floats.
  struct Tile {
    uint64_t first = 0;  // element of the tensor
    absl::Span<const float> values;
    uint64_t nonfinite = 0;
  };

  uint64_t InputBytes(uint64_t elements) const;
  absl::StatusOr<Piece> Read(uint64_t index, JobBuffers& buffers) const;
  absl::StatusOr<Tile> LoadTile(const Piece& piece, const ElementRange& range,
                                bool allow, JobBuffers& buffers) const;
  absl::Status BadValue(const Piece& piece, uint64_t offset,
                        absl::string_view problem) const;

  absl::Status Copy(const Piece& piece, EmitPiece emit, JobBuffers& buffers);
  absl::Status Cast(const Piece& piece, EmitPiece emit, JobBuffers& buffers);
  absl::Status Quantize(const Piece& piece, EmitPiece emit,
                        JobBuffers& buffers);
  absl::Status ObservePiece(const Piece& piece, const SlotRange& slots,
                            Observer& observer, JobBuffers& buffers) const;
  absl::Status ObserveMagnitude(const Piece& piece, JobBuffers& buffers) const;
  absl::StatusOr<SlotRange> ComputeParams(const Piece& piece,
                                          JobBuffers& buffers) const;
  absl::Status ObserveScales(const Piece& piece, JobBuffers& buffers);
  absl::Status QuantizeNested(const Piece& piece, absl::Span<uint8_t> codes,
                              EmitPiece emit, JobBuffers& buffers);
  absl::Status QuantizeWithin(const Piece& piece, absl::Span<uint8_t> codes,
                              EmitPiece emit, JobBuffers& buffers);
  absl::Status EncodePiece(const Piece& piece, const SlotRange& slots,
                           absl::Span<const QParams> params,
                           absl::Span<uint8_t> codes, JobBuffers& buffers);
  void EncodeTile(const Piece& piece, const Tile& tile, const SlotRange& slots,
                  absl::Span<const QParams> params, absl::Span<uint8_t> codes,
                  JobBuffers& buffers);
  // Whether the first trip gives all scales, which the second one needs.
  bool KeepsParams() const {
    return pieces_.two_trips && global_scale_ == nullptr &&
           scale_sum_ == nullptr;
  }
  // Of scales that are quantized; to be called when all have been seen.
  float ScaleOffset() const {
    return scale_sum_->Mean(tensor_.layout.num_params);
  }
  DType DTypeOf(size_t output) const {
    return whole_plan_.manifest.tensors[output].dtype;
  }
  absl::Status EmitZeroPoints(uint64_t first, absl::Span<const QParams> params,
                              EmitPiece emit, JobBuffers& buffers) const;
  absl::Status EmitParams(uint64_t first, absl::Span<const QParams> params,
                          EmitPiece emit, JobBuffers& buffers) const;
  static absl::Status EmitLines(size_t output, const Lines& whole,
                                const Lines& before, const Lines& lines,
                                const uint8_t* bytes, EmitPiece emit);
  absl::Status EmitParamLines(const ElementRange& range,
                              absl::Span<const QParams> params, EmitPiece emit,
                              JobBuffers& buffers) const;
  absl::Status EmitNestedScales(uint64_t first, const NestedScales& nested,
                                EmitPiece emit) const;
  absl::Status EmitConstants(EmitPiece emit) const;
  absl::Status EmitGlobalScale(EmitPiece emit) const;

  const CheckpointReader& reader_;
  const Plan& whole_plan_;
  const TensorPlan& tensor_;
  GlobalScale* const global_scale_;
  const bool measure_errors_;
  TensorPieces pieces_;
  // Formats with scales only.
  std::optional<TensorCoder> coder_;
  // Of these, those that are not stored row by row.
  std::optional<WordOrder> order_;
  const ObserverRow* observer_row_ = nullptr;
  // Quantized tensors only: one for each piece.
  std::vector<PieceResult> results_;

  // What was restored: the pieces, empty for none of them, how many are left,
  // and whether the scales of a tensor of two trips have been emitted.
  Marks written_;
  uint64_t unfinished_ = 0;
  bool scales_written_ = false;

  // Tensors of two trips. What all pieces so far have seen, and how many are
  // still to come; then the parameters of all slots. Of those with scales that
  // are quantized, the sum of these alone.
  std::mutex mutex_;
  std::unique_ptr<Observer> observer_;
  std::atomic<uint64_t> to_observe_{0};
  std::vector<QParams> params_;
  std::unique_ptr<ScaleSum> scale_sum_;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_JOB_TENSOR_H_
