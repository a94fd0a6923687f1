#include "core/nonfinite_search.h"

#include <algorithm>
#include <optional>

#include "absl/types/span.h"
#include "core/casts.h"
#include "core/nonfinite.h"
#include "core/pieces.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kNowhere = ~uint64_t{0};

// The index of the first such element among those at `bytes`, if any.
std::optional<uint64_t> FirstIn(DType dtype, absl::Span<const uint8_t> bytes) {
  const uint64_t element_bytes = FloatBytes(dtype);
  const uint64_t count = bytes.size() / element_bytes;
  float values[kTileElements];
  for (uint64_t i = 0; i < count; i += kTileElements) {
    const size_t size = static_cast<size_t>(std::min(kTileElements, count - i));
    const absl::Span<float> tile = absl::MakeSpan(values, size);
    if (!ToFloat(dtype, bytes.data() + i * element_bytes, tile)) {
      return i + FirstNonfinite(tile);
    }
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NonfiniteSearch>> NonfiniteSearch::Create(
    const CheckpointReader* reader, const Plan& plan,
    const JobOptions& options) {
  MQ_RETURN_IF_ERROR(ValidateJobOptions(options));
  std::unique_ptr<NonfiniteSearch> search(new NonfiniteSearch(reader));
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action != Action::kQuantize ||
        !HasScales(tensor.scheme.format)) {
      continue;
    }
    const TensorInfo& info = reader->index().tensors[tensor.input];
    const uint64_t element_bytes = FloatBytes(info.dtype);
    Item item;
    item.tensor = tensor.input;
    item.first_piece = search->num_pieces_;
    item.elements = info.byte_size / element_bytes;
    item.piece_elements = options.chunk_bytes / element_bytes;
    item.element = kNowhere;
    search->num_pieces_ +=
        (item.elements + item.piece_elements - 1) / item.piece_elements;
    search->bytes_total_ += info.byte_size;
    search->items_.push_back(std::move(item));
  }
  return search;
}

absl::StatusOr<bool> NonfiniteSearch::Step(Worker& worker) {
  const uint64_t piece = next_.fetch_add(1, std::memory_order_relaxed);
  if (piece >= num_pieces_) return false;
  const auto after = std::upper_bound(
      items_.begin(), items_.end(), piece,
      [](uint64_t a, const Item& item) { return a < item.first_piece; });
  Item& item = *(after - 1);
  MQ_RETURN_IF_ERROR(Search(item, piece - item.first_piece, worker));
  return true;
}

absl::Status NonfiniteSearch::Search(Item& item, uint64_t piece,
                                     Worker& worker) {
  const TensorInfo& info = reader_->index().tensors[item.tensor];
  const uint64_t element_bytes = FloatBytes(info.dtype);
  const uint64_t begin = piece * item.piece_elements;
  const uint64_t count = std::min(item.piece_elements, item.elements - begin);
  bool needed;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    needed = begin < item.element;
  }
  if (needed) {
    worker.resize(
        std::max(worker.size(), static_cast<size_t>(count * element_bytes)));
    const absl::Span<uint8_t> bytes = absl::MakeSpan(
        worker.data(), static_cast<size_t>(count * element_bytes));
    MQ_RETURN_IF_ERROR(reader_->Read(item.tensor, begin, count, bytes));
    const std::optional<uint64_t> first = FirstIn(info.dtype, bytes);
    if (first.has_value()) {
      std::string reason =
          DescribeElement(info.dtype, bytes.data() + *first * element_bytes,
                          begin + *first, info.shape);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (begin + *first < item.element) {
        item.element = begin + *first;
        item.reason = std::move(reason);
      }
    }
  }
  bytes_done_.fetch_add(count * element_bytes, std::memory_order_relaxed);
  return absl::OkStatus();
}

std::vector<std::pair<size_t, std::string>> NonfiniteSearch::Found() const {
  std::vector<std::pair<size_t, std::string>> found;
  for (const Item& item : items_) {
    if (item.element != kNowhere) found.emplace_back(item.tensor, item.reason);
  }
  return found;
}

absl::StatusOr<std::vector<std::pair<size_t, std::string>>> FindNonfinite(
    const CheckpointReader& reader, const Plan& plan,
    const JobOptions& options) {
  MQ_ASSIGN_OR_RETURN(const std::unique_ptr<NonfiniteSearch> search,
                      NonfiniteSearch::Create(&reader, plan, options));
  NonfiniteSearch::Worker worker;
  bool more = true;
  while (more) {
    MQ_ASSIGN_OR_RETURN(more, search->Step(worker));
  }
  return search->Found();
}

}  // namespace monoquant
