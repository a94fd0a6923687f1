// How much memory a job will take (core/plan.h).

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/pieces.h"
#include "core/plan.h"
#include "core/registry.h"
#include "ir/manifest.h"
#include "ir/quant_scheme.h"

namespace monoquant {
namespace {

// The plan's own entry, its outputs' and the job's bookkeeping, with the heap's
// overhead for the strings in them.
constexpr uint64_t kBytesPerTensor = 1024;

// A worker's tiles: values, levels, decoded values.
constexpr uint64_t kTileBytes =
    kLargestTile * (sizeof(float) + 1) + kTileElements * sizeof(float);

}  // namespace

uint64_t PeakMemory(const Plan& plan, int threads, uint64_t chunk_bytes) {
  uint64_t input = 0;
  uint64_t codes = 0;
  uint64_t params = 0;
  uint64_t shared = 0;
  for (const TensorPlan& tensor : plan.tensors) {
    shared += kBytesPerTensor;
    if (tensor.action == Action::kTie) continue;
    TensorPieces pieces;
    if (tensor.action == Action::kCopy) {
      const OutputTensor& output = plan.manifest.tensors[tensor.output];
      // Halves that become F32 are half of it.
      const uint64_t bytes = output.dtype == tensor.dtype
                                 ? output.byte_size
                                 : output.byte_size / 2;
      pieces = CutCopy(tensor.dtype, bytes, chunk_bytes);
    } else {
      const ObserverRow* observer =
          DefaultRegistry().FindObserver(tensor.observer);
      const size_t slot_bytes =
          observer == nullptr ? 0 : observer->bytes_per_slot;
      pieces = CutQuantize(tensor.dtype, tensor.scheme, tensor.layout,
                           slot_bytes, chunk_bytes, tensor.packing);
    }
    // Each buffer of a worker grows to the largest that any tensor asks for.
    input = std::max(input, pieces.input_bytes);
    codes = std::max(codes, pieces.code_bytes);
    params = std::max(params, pieces.param_bytes);
    shared += pieces.shared_bytes;
  }
  const uint64_t workers = static_cast<uint64_t>(std::max(threads, 1));
  return workers * (input + codes + params + kTileBytes) + shared;
}

}  // namespace monoquant
