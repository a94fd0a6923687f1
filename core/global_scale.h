// The global scale that tensors of a job have in common (HasGlobalScale).

#ifndef MONOQUANT_CORE_GLOBAL_SCALE_H_
#define MONOQUANT_CORE_GLOBAL_SCALE_H_

#include <atomic>
#include <cstdint>

#include "core/qparams.h"

namespace monoquant {

// Gathers the largest magnitude of all tensors of a set, which a job reads
// before it writes any of them. The scale follows from it, in whatever order
// the values come.
class GlobalScale {
 public:
  // Values to this magnitude have been seen. Thread-safe.
  void Observe(float magnitude) {
    float largest = magnitude_.load(std::memory_order_relaxed);
    while (magnitude > largest &&
           !magnitude_.compare_exchange_weak(largest, magnitude,
                                             std::memory_order_relaxed)) {
    }
  }

  // To be called when all values have been seen.
  float value() const {
    return GlobalScaleOf(magnitude_.load(std::memory_order_relaxed));
  }

  // Pieces of the set that need the scale. Before a job begins, those that an
  // earlier one has finished are taken off.
  void AddPieces(uint64_t count) { pieces_ += count; }
  void RemovePiece() { --pieces_; }
  bool is_needed() const { return pieces_ != 0; }

 private:
  std::atomic<float> magnitude_{0};
  uint64_t pieces_ = 0;
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_GLOBAL_SCALE_H_
