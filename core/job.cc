#include "core/job.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>

#include "core/global_scale.h"
#include "core/job_tensor.h"
#include "core/registry.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kMinChunk = uint64_t{64} << 10;
constexpr uint64_t kMaxChunk = uint64_t{1} << 30;

// The pieces of one phase in the order in which they are begun: that of the
// tensors, so that a file is read from front to back.
class Schedule {
 public:
  // Pieces `first` to `first` + `count` - 1 of a tensor.
  void Add(JobTensor* tensor, uint64_t first, uint64_t count) {
    if (count == 0) return;
    runs_.push_back({tensor, first});
    begins_.push_back(size_);
    size_ += count;
  }

  uint64_t size() const { return size_; }

  // Hands out the next piece; size() or more if there is none.
  uint64_t Next() { return next_.fetch_add(1, std::memory_order_relaxed); }

  JobTensor* TensorOf(uint64_t piece, uint64_t* piece_of_tensor) const {
    const size_t i = static_cast<size_t>(
        std::upper_bound(begins_.begin(), begins_.end(), piece) -
        begins_.begin() - 1);
    *piece_of_tensor = runs_[i].first + (piece - begins_[i]);
    return runs_[i].tensor;
  }

  void Done() { done_.fetch_add(1, std::memory_order_release); }
  bool complete() const {
    return done_.load(std::memory_order_acquire) == size_;
  }

 private:
  struct Run {
    JobTensor* tensor;
    uint64_t first;
  };
  std::vector<Run> runs_;
  std::vector<uint64_t> begins_;  // the first piece of each
  uint64_t size_ = 0;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> done_{0};
};

// Deals out work by where it begins among all bytes: a stretch for each share.
class Stretches {
 public:
  Stretches(uint64_t bytes_total, const JobShare& share)
      : share_(share.number), bytes_of_each_(bytes_total / share.count + 1) {}

  bool IsOurs(uint64_t position) const {
    return position / bytes_of_each_ == share_;
  }

 private:
  const uint64_t share_;
  const uint64_t bytes_of_each_;
};

// A plan that was made from another index would write nonsense.
absl::Status CheckPlan(const CheckpointIndex& index, const Plan& plan) {
  const Registry registry = DefaultRegistry();
  bool fits = plan.tensors.size() == index.tensors.size();
  for (size_t i = 0; fits && i < plan.tensors.size(); ++i) {
    const TensorPlan& tensor = plan.tensors[i];
    fits = tensor.input == i && tensor.dtype == index.tensors[i].dtype &&
           tensor.output < plan.manifest.tensors.size();
    if (!fits || tensor.action == Action::kTie) continue;
    const uint64_t bytes = index.tensors[i].byte_size;
    if (tensor.action == Action::kCopy) {
      const OutputTensor& output = plan.manifest.tensors[tensor.output];
      const bool half =
          tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16;
      fits = output.dtype == tensor.dtype
                 ? output.byte_size == bytes
                 : half && output.dtype == DType::kF32 &&
                       output.byte_size / 2 == bytes;
      continue;
    }
    const uint64_t bits =
        static_cast<uint64_t>(GetDTypeInfo(tensor.dtype).bits);
    fits = bytes != 0 && tensor.layout.num_elements == bytes * 8 / bits &&
           IsQuantizable(tensor.dtype);
    if (HasScales(tensor.scheme.format)) {
      fits = fits && registry.FindObserver(tensor.observer) != nullptr &&
             registry.FindAlgorithm(tensor.algorithm) != nullptr;
    }
    fits = fits &&
           HasGlobalScale(tensor.scheme) == (tensor.scale_leader != kNoTensor);
  }
  if (fits) return absl::OkStatus();
  return InvalidArgumentError(index.path,
                              ": the plan was not made from this checkpoint");
}

}  // namespace

absl::Status ValidateJobOptions(const JobOptions& options) {
  if (options.share.number >= options.share.count) {
    return InvalidArgumentError("there is no share ", options.share.number,
                                " of ", options.share.count,
                                "; they are counted from 0");
  }
  if (options.chunk_bytes >= kMinChunk && options.chunk_bytes <= kMaxChunk) {
    return absl::OkStatus();
  }
  return InvalidArgumentError(
      "chunks of ", options.chunk_bytes,
      " bytes are not possible; use 65536 to 1073741824");
}

struct Job::Worker::Buffers : JobBuffers {};

Job::Worker::Worker() : buffers_(std::make_unique<Buffers>()) {}
Job::Worker::~Worker() = default;
Job::Worker::Worker(Worker&&) noexcept = default;
Job::Worker& Job::Worker::operator=(Worker&&) noexcept = default;

class Job::Rep {
 public:
  Rep(const CheckpointReader& reader, Plan plan, Emit emit,
      const JobOptions& options)
      : plan_(std::move(plan)),
        emit_(std::move(emit)),
        on_finished_(options.on_finished) {
    bool two_phases = false;
    uint64_t bytes_of_all = 0;
    for (const TensorPlan& tensor : plan_.tensors) {
      if (tensor.action == Action::kTie) continue;
      GlobalScale* const global_scale =
          tensor.scale_leader == kNoTensor
              ? nullptr
              : &global_scales_[tensor.scale_leader];
      tensors_.push_back(std::make_unique<JobTensor>(
          reader, plan_, tensor, global_scale, options.chunk_bytes,
          options.measure_errors));
      two_phases = two_phases || tensors_.back()->pieces().two_trips;
      bytes_of_all += BytesOf(*tensors_.back());
    }
    num_phases_ = two_phases ? 2 : 1;
    const Stretches stretches(bytes_of_all, options.share);
    std::map<size_t, bool> leader_is_ours;
    uint64_t position = 0;
    for (const std::unique_ptr<JobTensor>& tensor : tensors_) {
      if (tensor->pieces().two_trips) {
        bool ours = stretches.IsOurs(position);
        const size_t leader = tensor->plan().scale_leader;
        if (leader != kNoTensor) {
          ours = leader_is_ours.emplace(leader, ours).first->second;
        }
        if (ours) ScheduleTwoTrips(tensor.get());
      } else {
        ScheduleOneTrip(tensor.get(), position, stretches);
      }
      position += BytesOf(*tensor);
    }
  }

  absl::StatusOr<bool> Step(int phase, JobBuffers& buffers) {
    if (phase < 0 || phase >= num_phases_) {
      return InvalidArgumentError("a job of ", num_phases_,
                                  " phases has no phase ", phase);
    }
    if (failed_.load(std::memory_order_acquire)) return FirstError();
    if (phase == 1 && !phases_[0].complete()) {
      return FailedPreconditionError(
          "phase 1 was begun before phase 0 had ended");
    }
    Schedule& schedule = phases_[phase];
    const uint64_t piece = schedule.Next();
    if (piece >= schedule.size()) return false;
    uint64_t piece_of_tensor;
    JobTensor& tensor = *schedule.TensorOf(piece, &piece_of_tensor);
    const bool observe = phase + 1 < num_phases_;
    const bool done =
        observe ? tensor.IsObserved() : tensor.IsWritten(piece_of_tensor);
    if (!done) {
      const absl::Status status =
          DoPiece(tensor, piece_of_tensor, observe, buffers);
      if (!status.ok()) {
        Fail(piece, status);
        return FirstError();
      }
      bytes_done_.fetch_add(tensor.BytesOf(piece_of_tensor),
                            std::memory_order_relaxed);
    }
    schedule.Done();
    return true;
  }

  absl::StatusOr<std::vector<TensorResult>> Results() const {
    if (!last_phase().complete()) {
      return FailedPreconditionError(
          "the results of a job are known after its last step only");
    }
    std::vector<TensorResult> results;
    for (const std::unique_ptr<JobTensor>& tensor : tensors_) {
      if (tensor->plan().action != Action::kQuantize) continue;
      const PieceResult sum = tensor->Result();
      results.push_back({tensor->plan().input, sum.error, sum.nonfinite});
    }
    return results;
  }

  // To be called before the first step.
  absl::Status Restore(absl::Span<const FinishedPiece> finished) {
    for (const FinishedPiece& piece : finished) {
      const auto tensor = std::lower_bound(
          tensors_.begin(), tensors_.end(), piece.tensor,
          [](const std::unique_ptr<JobTensor>& a, size_t input) {
            return a->plan().input < input;
          });
      if (tensor == tensors_.end() || (*tensor)->plan().input != piece.tensor) {
        return InvalidArgumentError("there is no tensor ", piece.tensor,
                                    " with a piece to take over");
      }
      MQ_RETURN_IF_ERROR((*tensor)->Restore(piece));
      if (piece.piece != FinishedPiece::kScales) {
        bytes_done_ += (*tensor)->BytesOf(piece.piece);
      }
    }
    for (const std::unique_ptr<JobTensor>& tensor : tensors_) {
      if (!tensor->pieces().two_trips || !tensor->IsObserved()) continue;
      for (uint64_t i = 0; i < tensor->pieces().cuts.size(); ++i) {
        bytes_done_ += tensor->BytesOf(i);
      }
    }
    return absl::OkStatus();
  }

  const Plan& plan() const { return plan_; }
  int num_phases() const { return num_phases_; }
  uint64_t bytes_done() const {
    return bytes_done_.load(std::memory_order_relaxed);
  }
  uint64_t bytes_total() const { return bytes_total_; }

 private:
  // Input bytes that are read for a tensor.
  static uint64_t BytesOf(const JobTensor& tensor) {
    const TensorPieces& pieces = tensor.pieces();
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < pieces.cuts.size(); ++i) {
      bytes += tensor.BytesOf(i);
    }
    return pieces.two_trips ? 2 * bytes : bytes;
  }

  void ScheduleTwoTrips(JobTensor* tensor) {
    for (Schedule* phase : {&phases_[0], &last_phase()}) {
      phase->Add(tensor, 0, tensor->pieces().cuts.size());
    }
    bytes_total_ += BytesOf(*tensor);
  }

  // Those of its pieces that are ours follow each other. The first one begins
  // at `position`.
  void ScheduleOneTrip(JobTensor* tensor, uint64_t position,
                       const Stretches& stretches) {
    uint64_t first = 0;
    uint64_t count = 0;
    for (uint64_t i = 0; i < tensor->pieces().cuts.size(); ++i) {
      const uint64_t bytes = tensor->BytesOf(i);
      if (stretches.IsOurs(position)) {
        if (count++ == 0) first = i;
        bytes_total_ += bytes;
      }
      position += bytes;
    }
    last_phase().Add(tensor, first, count);
  }

  absl::Status DoPiece(JobTensor& tensor, uint64_t index, bool observe,
                       JobBuffers& buffers) {
    FinishedPiece& finished = buffers.finished;
    finished.ranges.clear();
    const auto emit = [&](size_t output, uint64_t offset,
                          absl::Span<const uint8_t> bytes) {
      const uint32_t crc = Crc32(bytes);
      finished.ranges.push_back({output, offset, bytes.size(), crc});
      return emit_(output, offset, bytes, crc);
    };
    finished.tensor = tensor.plan().input;
    if (observe) {
      MQ_ASSIGN_OR_RETURN(const bool complete,
                          tensor.Observe(index, emit, buffers));
      if (!complete || finished.ranges.empty()) return absl::OkStatus();
      finished.piece = FinishedPiece::kScales;
      finished.error = {};
      finished.nonfinite = 0;
    } else {
      MQ_RETURN_IF_ERROR(tensor.Write(index, emit, buffers));
      const PieceResult result = tensor.ResultOf(index);
      finished.piece = index;
      finished.error = result.error;
      finished.nonfinite = result.nonfinite;
    }
    return on_finished_ ? on_finished_(finished) : absl::OkStatus();
  }

  Schedule& last_phase() { return phases_[num_phases_ - 1]; }
  const Schedule& last_phase() const { return phases_[num_phases_ - 1]; }

  // Of several errors the one of the earliest piece is kept.
  void Fail(uint64_t piece, const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (piece < failed_piece_) {
      failed_piece_ = piece;
      error_ = status;
    }
    failed_.store(true, std::memory_order_release);
  }

  absl::Status FirstError() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return error_;
  }

  const Plan plan_;
  const Emit emit_;
  const std::function<absl::Status(const FinishedPiece&)> on_finished_;
  std::map<size_t, GlobalScale> global_scales_;  // by TensorPlan::scale_leader
  std::vector<std::unique_ptr<JobTensor>> tensors_;
  int num_phases_ = 1;
  Schedule phases_[2];
  uint64_t bytes_total_ = 0;
  std::atomic<uint64_t> bytes_done_{0};

  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  uint64_t failed_piece_ = std::numeric_limits<uint64_t>::max();
  absl::Status error_;
};

Job::Job(std::unique_ptr<Rep> rep) : rep_(std::move(rep)) {}
Job::~Job() = default;

absl::StatusOr<std::unique_ptr<Job>> Job::Create(const CheckpointReader* reader,
                                                 Plan plan, Emit emit,
                                                 const JobOptions& options) {
  MQ_RETURN_IF_ERROR(ValidateJobOptions(options));
  MQ_RETURN_IF_ERROR(CheckPlan(reader->index(), plan));
  auto rep =
      std::make_unique<Rep>(*reader, std::move(plan), std::move(emit), options);
  MQ_RETURN_IF_ERROR(rep->Restore(options.finished));
  return std::unique_ptr<Job>(new Job(std::move(rep)));
}

int Job::num_phases() const { return rep_->num_phases(); }
absl::StatusOr<bool> Job::Step(int phase, Worker& worker) {
  return rep_->Step(phase, *worker.buffers_);
}
uint64_t Job::bytes_done() const { return rep_->bytes_done(); }
uint64_t Job::bytes_total() const { return rep_->bytes_total(); }
const Plan& Job::plan() const { return rep_->plan(); }
absl::StatusOr<std::vector<TensorResult>> Job::Results() const {
  return rep_->Results();
}

absl::Status RunToEnd(Job& job) {
  Job::Worker worker;
  for (int phase = 0; phase < job.num_phases(); ++phase) {
    bool more = true;
    while (more) {
      MQ_ASSIGN_OR_RETURN(more, job.Step(phase, worker));
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
