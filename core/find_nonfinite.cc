// Looks for NaN and infinity before anything is planned around them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/casts.h"
#include "core/cuts.h"
#include "core/job.h"
#include "core/nonfinite.h"
#include "core/pieces.h"
#include "core/plan.h"
#include "ir/checkpoint.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// The index of the first such element among those at `bytes`, if any.
std::optional<uint64_t> FirstIn(DType dtype, absl::Span<const uint8_t> bytes) {
  const uint64_t element_bytes = FloatBytes(dtype);
  const uint64_t count = bytes.size() / element_bytes;
  float values[kTileElements];
  for (uint64_t i = 0; i < count; i += kTileElements) {
    const size_t size = static_cast<size_t>(std::min(kTileElements, count - i));
    const absl::Span<float> tile = absl::MakeSpan(values, size);
    ToFloat(dtype, bytes.data() + i * element_bytes, tile);
    if (CountNonfinite(tile) != 0) return i + FirstNonfinite(tile);
  }
  return std::nullopt;
}

// The reason to keep the tensor; empty if all its values are finite.
absl::StatusOr<std::string> Search(const CheckpointReader& reader,
                                   const TensorPlan& tensor,
                                   std::vector<uint8_t>& buffer) {
  const TensorInfo& info = reader.index().tensors[tensor.input];
  const uint64_t element_bytes = FloatBytes(info.dtype);
  const uint64_t total = info.byte_size / element_bytes;
  const uint64_t step = buffer.size() / element_bytes;
  for (uint64_t begin = 0; begin < total; begin += step) {
    const uint64_t count = std::min(step, total - begin);
    const absl::Span<uint8_t> bytes = absl::MakeSpan(
        buffer.data(), static_cast<size_t>(count * element_bytes));
    MQ_RETURN_IF_ERROR(reader.Read(tensor.input, begin, count, bytes));
    const std::optional<uint64_t> first = FirstIn(info.dtype, bytes);
    if (first.has_value()) {
      return DescribeElement(info.dtype, bytes.data() + *first * element_bytes,
                             begin + *first, info.shape);
    }
  }
  return std::string();
}

}  // namespace

absl::StatusOr<std::vector<std::pair<size_t, std::string>>> FindNonfinite(
    const CheckpointReader& reader, const Plan& plan,
    const JobOptions& options) {
  MQ_RETURN_IF_ERROR(ValidateJobOptions(options));
  std::vector<uint8_t> buffer(static_cast<size_t>(options.chunk_bytes));
  std::vector<std::pair<size_t, std::string>> found;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action != Action::kQuantize ||
        !HasScales(tensor.scheme.format)) {
      continue;
    }
    MQ_ASSIGN_OR_RETURN(std::string reason, Search(reader, tensor, buffer));
    if (!reason.empty()) found.emplace_back(tensor.input, std::move(reason));
  }
  return found;
}

}  // namespace monoquant
